"""Response bodies: a page in any format, one record, and a record's versions."""

from typing import Literal, Protocol

import msgspec

from app.query.formats.encoders import RowEncoder, StreamFormat, row_encoder
from app.query.formats.negotiation import Format
from app.query.formats.served import ServedRows
from app.runtime.instants import from_epoch_us
from app.schema.columns import Column
from app.stores.source import Row

_encoder = msgspec.json.Encoder()


class Count(msgspec.Struct, frozen=True):
    """How many records a window holds: exactly `value`, or at least that many."""

    value: int
    relation: Literal["eq", "gte"]


class Span(Protocol):
    """A time span: [since_us, until_us)."""

    @property
    def since_us(self) -> int:
        """Its start, inclusive."""
        ...

    @property
    def until_us(self) -> int:
        """Its end, exclusive."""
        ...


class Page(Protocol):
    """A page as read: its rows, the window it belongs to, and the cursors to continue."""

    @property
    def rows(self) -> list[Row]:
        """The rows as the store returns them."""
        ...

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page in the window; None at its end."""
        ...

    @property
    def resume_cursor(self) -> str:
        """The cursor that continues with newer rows."""
        ...

    @property
    def window(self) -> Span:
        """The window."""
        ...

    @property
    def poll_after_s(self) -> int:
        """How long to wait before polling again."""
        ...


class RowFormat:
    """Writes rows of one table: only these `columns`, in this order.

    It is cheap to create. It does not modify rows, so the same ones may be written more than once.
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._columns = columns
        self._served = ServedRows(columns)
        self._encoders: dict[tuple[StreamFormat, bool], RowEncoder] = {}

    def page(self, page: Page, chosen: Format, *, count: Count | None = None, guard: bool = False) -> bytes:
        """Return the body of a page; `count` applies to JSON only, `guard` to CSV."""
        if chosen != "json":
            encoder = self.encoder(chosen, guard=guard)
            return b"".join((encoder.begin(), encoder.rows(page.rows), encoder.end()))
        window = {"since": from_epoch_us(page.window.since_us), "until": from_epoch_us(page.window.until_us)}
        document = {
            "records": self._served.of(page.rows),
            "next_cursor": page.next_cursor,
            "resume_cursor": page.resume_cursor,
            "window": window,
            "poll_after": page.poll_after_s,
        }
        return _encoder.encode(document if count is None else document | {"count": count})

    def encoder(self, chosen: StreamFormat, *, guard: bool = False) -> RowEncoder:
        """Return the encoder of a format, which also writes streams."""
        key = (chosen, guard)
        if key not in self._encoders:
            self._encoders[key] = row_encoder(chosen, self._columns, guard=guard)
        return self._encoders[key]

    def record(self, row: Row) -> bytes:
        """Return the body of one record."""
        return _encoder.encode(self._served.of([row])[0])

    def versions(self, rows: list[Row], *, complete: bool) -> bytes:
        """Return the body of a record's versions."""
        return _encoder.encode({"records": self._served.of(rows), "complete": complete})
