"""The paths that more than one part of the service uses, and how to read an id from one."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from app.http.contract import Parameter
from app.http.problems import ProblemError

RECORDS = "/v1/records"
REJECTS = "/v1/rejects"
ERASURES = "/v1/erasures"
PROBLEMS = "/v1/problems"
READERS = "/v1/readers"
STREAMS = "/v1/streams"
STREAM = STREAMS + "/{stream:str}"
"""Where a stream's own routes begin: `/records`, `/rejects` and `/schema` follow."""
PUSH = "/pubsub/push"
METRICS = "/metrics"
WAITS = "waits"
"""Key in a request's state: whether the client asked to wait, so that the duration is the client's own choice."""
UNMEASURED = ("/health/", METRICS)
"""Paths for monitoring, whose requests are not measured."""


_BEFORE_ID = re.compile(r"/v1/(?:streams/[^/]+/)?records/")


RECORD_ID = {
    "record_id": Parameter(
        "The record's id, percent-encoded; it may contain slashes.",
        None,
        {"type": "string", "minLength": 1},
        location="path",
    )
}


_Value = TypeVar("_Value")


def of_stream(by_stream: Mapping[str, _Value], scope: Any) -> _Value:
    """Return the value of the stream that the path of a request names.

    Raises:
        ProblemError: `not_found`: there is no such stream.
    """
    name = scope["path_params"]["stream"]
    value = by_stream.get(name)
    if value is None:
        raise ProblemError("not_found", f"there is no stream {name[:100]!r} at this path; {STREAMS} lists the streams")
    return value


def id_in_path(scope: Any) -> str:
    """Return the id after `…/records/` exactly; the framework drops empty segments and the trailing slash.

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
    return _BEFORE_ID.split(path, maxsplit=1)[-1]
