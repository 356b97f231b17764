"""The text of a tail: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure.

`id` is a resume cursor, which a client sends back as `Last-Event-ID` when it reconnects. An event without `data` only
sets the id and is not dispatched: so the client knows its position even without records.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.http.problems import ProblemError
from app.query.answer.encoders import ServedRows
from app.query.request.scan import Scan, position_of
from app.runtime.time_range import TimeRange
from app.schema.columns import Column
from app.stores.query import Position
from app.stores.source import Row

Reason = Literal["time", "stopping"]
RETRY_MS = 2_000
_json = msgspec.json.Encoder()
# A JSON column keeps the white space it was stored with; there are no other line ends outside JSON strings.
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


class EventFormat(msgspec.Struct, frozen=True):
    """The format of a subscriber's events: these columns of `table`, and cursors with its filters' `fingerprint`."""

    table: str
    columns: tuple[Column, ...]
    fingerprint: str = ""

    def cursor(self, position: Position) -> str:
        """Return the resume cursor after `position`, up to which everything is settled."""
        scan = Scan(
            table=self.table,
            window=TimeRange(position.ingest_us, position.ingest_us),
            descending=False,
            after=position if position.delivery_key else None,
            fingerprint=self.fingerprint,
            is_resumed=True,
        )
        return scan.resume_cursor(position, position.ingest_us)


def record_events(form: EventFormat, rows: Sequence[Row]) -> list[bytes]:
    """Return the event of each row."""
    served = ServedRows(form.columns).of([*rows])
    return [record_event(form, position_of(row), shown) for row, shown in zip(rows, served, strict=True)]


def record_event(form: EventFormat, place: Position, shown: Row) -> bytes:
    """Return the event of the row at `place`, which is served as `shown`."""
    return _event("record", form.cursor(place), _json.encode(shown).translate(_ONE_LINE))


def opening(form: EventFormat, position: Position) -> bytes:
    """Return the start of a stream: the reconnection time, and the position where the stream begins.

    Without the position, a client of `since=now` that lost its connection before the first record would start over
    from a later instant.
    """
    return f"retry: {RETRY_MS}\nid: {form.cursor(position)}\n\n".encode()


def ping(form: EventFormat, moved_to: Position | None) -> bytes:
    """Return a comment, which keeps proxies from closing the connection, with the new position if it has moved."""
    return b": ping\n\n" if moved_to is None else f": ping\nid: {form.cursor(moved_to)}\n\n".encode()


def ending(form: EventFormat, position: Position, reason: Reason) -> bytes:
    """Return the last event of a stream that ends by itself."""
    return _event("end", form.cursor(position), _json.encode({"reason": reason}))


def failure(form: EventFormat, position: Position, problem: ProblemError) -> bytes:
    """Return the last event of a stream that cannot continue, with the reconnection time of the problem."""
    retry_s = int(problem.headers.get("Retry-After", "0"))
    retry = f"retry: {retry_s * 1000}\n".encode() if retry_s else b""
    return retry + _event("error", form.cursor(position), problem.body())


def _event(name: str, cursor: str, data: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), cursor.encode(), data)
