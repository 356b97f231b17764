"""Response bodies: a page in any format, one record, and a record's versions."""

from typing import Literal

import msgspec

from app.query.answer.encoders import ServedRows, row_encoder
from app.query.request.negotiation import Format
from app.runtime.instants import from_epoch_us
from app.runtime.time_range import TimeRange
from app.schema.columns import Column
from app.stores.source import Row

_encoder = msgspec.json.Encoder()


class Count(msgspec.Struct, frozen=True):
    """How many records a window holds: exactly `value`, or at least that many."""

    value: int
    relation: Literal["eq", "gte"]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its rows, the window it belongs to, and the cursors to continue.

    `next_cursor` is None at the end of the window. `resume_cursor` continues with rows newer than those read;
    `poll_after_s` is how long to wait before using it. `is_short`: there are more rows, but the page ended before it
    was full, because of what it cost or would have cost.
    """

    rows: list[Row]
    next_cursor: str | None
    resume_cursor: str
    window: TimeRange
    poll_after_s: int
    count: Count | None = None
    is_short: bool = False


class RowFormat:
    """Writes rows of one table: only these `columns`, in this order.

    It is cheap to create. It does not modify rows, so the same ones may be written more than once.
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._columns = columns
        self._served = ServedRows(columns)

    def page(self, page: Page, chosen: Format, *, count: Count | None = None, guard: bool = False) -> bytes:
        """Return the body of a page; `count` applies to JSON only, `guard` to CSV."""
        if chosen != "json":
            encoder = row_encoder(chosen, self._columns, guard=guard)
            return b"".join((encoder.begin(), encoder.rows(page.rows), encoder.end()))
        window = {"since": from_epoch_us(page.window.from_us), "until": from_epoch_us(page.window.to_us)}
        document = {
            "records": self._served.of(page.rows),
            "next_cursor": page.next_cursor,
            "resume_cursor": page.resume_cursor,
            "window": window,
            "poll_after": page.poll_after_s,
        }
        return _encoder.encode(document if count is None else document | {"count": count})

    def record(self, row: Row) -> bytes:
        """Return the body of one record."""
        return _encoder.encode(self._served.of([row])[0])

    def versions(self, rows: list[Row], *, complete: bool) -> bytes:
        """Return the body of a record's versions."""
        return _encoder.encode({"records": self._served.of(rows), "complete": complete})
