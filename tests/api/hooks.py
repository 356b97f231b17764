"""What Schemathesis is told beside its settings: how NDJSON is written, what may not take long, what a problem is."""

from typing import Any
from urllib.parse import urlencode

import schemathesis

from app.http.problems import CATALOGUE, MEDIA_TYPE
from sluice.testing.pace import patience_s

_EVENTS = "text/event-stream"
_EVENTS_S = patience_s(10)
_LONG_POLL_S = "0.01"
_MAX_QUERY_LENGTH = 32_000


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: Any, value: Any) -> bytes:
    """Write a body of lines as it is generated: as text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def filter_case(_: Any, case: Any) -> bool:
    """Ask nothing whose address the HTTP server itself finds too long: its 414 comes before the service."""
    return len(urlencode(case.query or {}, doseq=True, errors="replace")) <= _MAX_QUERY_LENGTH


@schemathesis.hook
def before_call(_: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Give a stream of events time to end, which the service has set to a moment; and poll no longer than that."""
    if _EVENTS in case.operation.definition.raw["responses"].get("200", {}).get("content", {}):
        kwargs["timeout"] = _EVENTS_S
    wait = (case.query or {}).get("wait")
    if _is_positive(wait):
        case.query["wait"] = _LONG_POLL_S


def _is_positive(wait: object) -> bool:
    """Whether a long poll of so many seconds would be answered late: what the service refuses stays as it is."""
    try:
        return 0 < float(str(wait)) <= 30
    except ValueError:
        return False


@schemathesis.check
def problem_is_documented(_: Any, response: Any, case: Any) -> None:
    """Check that an error is a problem document, whose code is among the examples of this operation."""
    if response.status_code < 400 or case.method.upper() == "HEAD":
        return
    if response.status_code == 503 and case.path == "/health/ready":
        return  # says how the instance is doing, as always
    media_type = response.headers.get("content-type", [""])[0]
    assert media_type == MEDIA_TYPE, f"an error that is {media_type}"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert CATALOGUE[problem["code"]].status == response.status_code
    documented = case.operation.definition.raw["responses"].get(str(response.status_code))
    if documented is not None:  # not for a method that the document has not got
        assert problem["code"] in documented["content"][MEDIA_TYPE]["examples"], f"{problem['code']} is not documented"


@schemathesis.check
def store_answers(_: Any, response: Any, case: Any) -> None:  # noqa: ARG001 - what every check is called with
    """Check that the store could always be asked: 503 and 504 are documented, but must not happen here."""
    assert response.status_code not in {503, 504}, response.text
