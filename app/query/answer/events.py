"""The text of a tail: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure.

`id` is a resume cursor, which a client sends back as `Last-Event-ID` when it reconnects. An event without `data` only
sets the id and is not dispatched: so the client knows its position even without records.
"""

from typing import Any, Literal

import msgspec

from app.http.problems import ProblemError
from app.query.answer.encoders import ServedRows
from app.query.read.page import Page
from app.query.request.cursor import resume_cursor
from app.query.request.scan import position_of

Reason = Literal["time", "stopping"]
RETRY_MS = 2_000
RECORD = "record"
_json = msgspec.json.Encoder()
# A JSON column keeps the white space it was stored with; there are no other line ends outside JSON strings.
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def events_of(page: Page) -> bytes:
    """Return the event of each row of a page."""
    scan = page.scan
    shown = ServedRows(scan.columns).of(page.rows)
    cursors = [resume_cursor(scan.table, position_of(row), scan.fingerprint) for row in page.rows]
    return b"".join(event(RECORD, cursor, row) for cursor, row in zip(cursors, shown, strict=True))


def event(name: str, cursor: str, data: Any) -> bytes:
    """Return an event whose `data` is sent as JSON; after it, a client continues from `cursor`."""
    return _event(name, cursor, _json.encode(data).translate(_ONE_LINE))


def opening(cursor: str) -> bytes:
    """Return the start of a stream: the reconnection time, and the position where the stream begins.

    Without the position, a client of `since=now` that lost its connection before the first record would start over
    from a later instant.
    """
    return f"retry: {RETRY_MS}\nid: {cursor}\n\n".encode()


def ping(cursor: str | None) -> bytes:
    """Return a comment, which keeps proxies from closing the connection, with the new position if it has moved."""
    return b": ping\n\n" if cursor is None else f": ping\nid: {cursor}\n\n".encode()


def ending(cursor: str, reason: Reason) -> bytes:
    """Return the last event of a stream that ends by itself."""
    return event("end", cursor, {"reason": reason})


def failure(cursor: str, problem: ProblemError) -> bytes:
    """Return the last event of a stream that cannot continue, with the reconnection time of the problem."""
    retry_s = int(problem.headers.get("Retry-After", "0"))
    retry = f"retry: {retry_s * 1000}\n".encode() if retry_s else b""
    return retry + _event("error", cursor, problem.body())


def _event(name: str, cursor: str, data: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), cursor.encode(), data)
