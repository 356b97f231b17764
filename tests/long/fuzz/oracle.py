"""What every answer must be, whatever was asked. Pure: a case and its answer in, what is wrong with it out."""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.http.problems import CATALOGUE, MEDIA_TYPE
from tests.long.fuzz.case import Asked
from tests.long.fuzz.wire import Answer

NARROW, NARROW_SOURCE = "narrow", "narrow"
"""The caller with a fixed filter, and the only source that it may see."""
_TEMPORARY = {503, 504}
_NOT_OURS = {400, 408, 413, 414, 431}
"""What the HTTP server may answer by itself, without a body, before the service sees the request."""


def wrong(asked: Asked, answer: Answer) -> list[str]:
    """Return what is wrong with an answer, a sentence each."""
    if answer.status == 0:
        return ["the connection was closed without an answer"]
    found = [*_status(asked, answer), *_body(asked, answer)]
    if asked.caller == NARROW:
        found += _foreign(answer)
    return found


def _status(asked: Asked, answer: Answer) -> Iterator[str]:
    if answer.status >= 500 and answer.status not in _TEMPORARY and answer.status != 501:
        yield f"status {answer.status}: {answer.body[:300]!r}"
    if asked.token is not None and asked.token.is_spoilt and answer.status < 400:
        yield f"a spoilt token was answered {answer.status}"
    anonymous = not asked.caller and asked.token is None and asked.method != "OPTIONS"
    if anonymous and answer.status < 400 and asked.path.startswith(("/v1/records", "/v1/rejects", "/pubsub")):
        yield f"a caller without a token was answered {answer.status} by {asked.path[:100]}"


def _body(asked: Asked, answer: Answer) -> Iterator[str]:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if asked.method == "HEAD" or answer.status in {204, 304}:
        if answer.body:
            yield f"{answer.status} to {asked.method} has a body of {len(answer.body)} bytes"
        return
    if answer.status >= 400:
        yield from _problem(answer, kind)
    elif kind == "application/x-ndjson":
        lines = answer.body.split(b"\n")
        if any(line and _decoded(line) is None for line in lines):
            yield "a line of an NDJSON answer is not JSON"
    elif kind.endswith(("/json", "+json")) and _decoded(answer.body) is None:
        yield f"an answer of type {kind} is not JSON: {answer.body[:200]!r}"


def _problem(answer: Answer, kind: str) -> Iterator[str]:
    if kind != MEDIA_TYPE:
        if answer.status not in _NOT_OURS or answer.body:
            yield f"an error {answer.status} is of type {kind!r}: {answer.body[:200]!r}"
        return
    problem = _decoded(answer.body)
    if not isinstance(problem, dict) or problem.get("status") != answer.status:
        yield f"not a problem of status {answer.status}: {answer.body[:200]!r}"
    elif problem.get("code") not in CATALOGUE or CATALOGUE[problem["code"]].status != answer.status:
        yield f"a problem with the code {problem.get('code')!r} and status {answer.status}"


def _foreign(answer: Answer) -> Iterator[str]:
    """Yield records that this caller may not see, wherever they are in an answer."""
    bodies: list[Any] = [_decoded(line) for line in answer.body.split(b"\n") if line[:1] == b"{"]
    bodies += [_decoded(line[5:]) for line in answer.body.split(b"\n") if line.startswith(b"data:")]
    whole = _decoded(answer.body)
    rows = [row for body in [whole, *bodies] if isinstance(body, dict) for row in [body, *_rows(body)]]
    for row in rows:
        if "delivery_key" in row and "source" in row and row["source"] != NARROW_SOURCE:
            yield f"a caller with a fixed filter was shown {str(row)[:200]}"
            return


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    found = body.get("records") or body.get("versions") or []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
