"""The paths that more than one part of the service knows, and how an id stands in one."""

from typing import Any
from urllib.parse import unquote_to_bytes

from app.http.problems import ProblemError

RECORDS = "/v1/records"
REJECTS = "/v1/rejects"
PROBLEMS = "/v1/problems"
PUSH = "/pubsub/push"
METRICS = "/metrics"
WAITS = "waits"
"""In the state of a request: whether it asked to wait, so that how long it took is its own choice."""
UNMEASURED = ("/health/", METRICS)
"""Where whoever watches the service asks: not counted among its requests."""


def id_in_path(scope: Any) -> str:
    """Return the id after `/v1/records/`, exactly: the framework's own drops empty segments and the last slash.

    Raises:
        ProblemError: `invalid_parameter`: the path is not UTF-8, so it names no id.
    """
    raw: bytes | None = scope.get("raw_path")
    if not raw:
        path: str = scope["path"]
    else:
        try:
            path = unquote_to_bytes(raw.partition(b"?")[0]).decode()
        except UnicodeDecodeError:
            raise ProblemError("invalid_parameter", "the id in the path is not percent-encoded UTF-8") from None
    return path.partition(f"{RECORDS}/")[2]
