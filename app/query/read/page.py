"""A page: the rows that one read of a scan gave, and the cursors to go on from. Pure."""

from typing import Literal

import msgspec

from app.query.request.parameters import MAX_LIMIT
from app.query.request.scan import Scan
from app.stores.query import Position
from app.stores.source import Row


class Count(msgspec.Struct, frozen=True):
    """How many records a window holds: exactly `value`, or at least that many."""

    value: int
    relation: Literal["eq", "gte"]

    @property
    def header(self) -> str:
        """The text of the header `Sluice-Count`."""
        return f"{self.value};relation={self.relation}"


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one page of `scan`, and where it stopped; `stopped_at` is None at the end of the window."""

    scan: Scan
    rows: list[Row]
    stopped_at: Position | None = None
    count: Count | None = None

    @property
    def next_cursor(self) -> str | None:
        """The cursor of the next page; None at the end of the window."""
        return None if self.stopped_at is None else self.scan.next_cursor(self.stopped_at)

    @property
    def resume_cursor(self) -> str:
        """The cursor that continues with rows newer than those read."""
        return self.scan.resume_cursor(self.stopped_at)

    @property
    def is_short(self) -> bool:
        """Whether there are more rows, but the page ended early, because of what it cost or would have cost."""
        return self.stopped_at is not None and len(self.rows) < (self.scan.limit or MAX_LIMIT)

    @property
    def may_grow(self) -> bool:
        """Whether its window has been read to the end, which may lie further on a moment later."""
        return self.stopped_at is None and self.scan.may_grow
