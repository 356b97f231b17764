"""The paths that more than one part of the service knows, and how an id stands in one."""

from typing import Any
from urllib.parse import unquote

RECORDS = "/v1/records"
REJECTS = "/v1/rejects"
PROBLEMS = "/v1/problems"
PUSH = "/pubsub/push"


def id_in_path(scope: Any) -> str:
    """Return the id after `/v1/records/`, exactly: the framework's own drops empty segments and the last slash."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return unquote(raw.partition(b"?")[0].decode("latin-1")).partition(f"{RECORDS}/")[2]
