"""Cut an export's window into time ranges that hold no more rows than one query may return.

The distribution of rows is unknown, so the rows of a slice are counted part by part, which costs next to nothing.
Adjacent parts are merged while they fit; a part with too many rows is counted again, in finer parts. Rows with the
same timestamp stay together: they were stored as one batch, which is not large.
"""

from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from app.query.params.page import Window
from app.query.slices import Slice, feed_slices

_PARTS = 1_000  # into which a time range is cut for counting, approximately
_FIRST_ROWS = 100
_GROWTH = 4
_STRETCH_BYTES = 2_000_000  # several times as much is in memory at once: read, written, sent
# Returns the number of rows in each non-empty part of a slice, by the part's number, in ascending order. The second
# argument is the length of a part.
CountParts = Callable[[Slice, int], Awaitable[list[tuple[int, int]]]]


class Stretch(msgspec.Struct, frozen=True):
    """A part of a window, [from_us, to_us), and the number of rows counted in it."""

    from_us: int
    to_us: int
    rows: int


class Stretches:
    """Yields the stretches of a window in reading order."""

    def __init__(self, count: CountParts, ahead: Window, *, descending: bool, first_us: int) -> None:
        self._count, self._descending = count, descending
        whole = Slice(ahead.since_us, ahead.until_us)
        self._slices = feed_slices(whole, descending=descending, first_us=first_us, longest_us=None)
        self._counted = deque[Stretch]()

    async def next(self, max_rows: int) -> Stretch | None:
        """Return the next non-empty stretch, with at most `max_rows` unless they share a timestamp; None at the end.

        Raises:
            QueryError: the rows could not be counted.
        """
        found: Stretch | None = None
        while (part := await self._part()) is not None:
            if part.rows > max_rows and found is None and part.to_us - part.from_us > 1:
                await self._divide(Slice(part.from_us, part.to_us))
            elif found is None:
                found = part
            elif found.rows + part.rows <= max_rows:
                ends = (part.from_us, found.to_us) if self._descending else (found.from_us, part.to_us)
                found = Stretch(*ends, found.rows + part.rows)
            else:
                self._counted.appendleft(part)
                break
        return found

    async def _part(self) -> Stretch | None:
        while not self._counted and (waiting := next(self._slices, None)) is not None:
            await self._divide(waiting)
        return self._counted.popleft() if self._counted else None

    async def _divide(self, whole: Slice) -> None:
        width_us = max(-(-(whole.to_us - whole.from_us) // _PARTS), 1)
        parts = []
        for number, rows in await self._count(whole, width_us):
            from_us = whole.from_us + number * width_us
            parts.append(Stretch(from_us, min(from_us + width_us, whole.to_us), rows))
        self._counted.extendleft(parts if self._descending else reversed(parts))


class ChunkSizer:
    """Decides how many rows the next query should return: a few megabytes, and no more than allowed.

    It begins with few rows, so that the first byte arrives soon, and adapts to the size of the last ones.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self.rows = min(_FIRST_ROWS, max_rows)

    def note(self, rows: int, size_bytes: int) -> None:
        """Record the size of the result of a query of `rows` rows."""
        fitting = _STRETCH_BYTES * max(rows, 1) // max(size_bytes, 1)
        self.rows = max(min(fitting, self.rows * _GROWTH, self._max_rows), 1)
