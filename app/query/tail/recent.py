"""The newest rows of a feed, buffered for its subscribers. Pure.

Subscribers share the buffer: each has a position and no queue of its own, so that a hundred of them need the memory of
one, and a slow one needs none. A subscriber that falls behind the buffer reads for itself until it has caught up.

The buffer is charged to a ledger. If it does not fit, nothing is kept, and every subscriber reads for itself.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from itertools import accumulate

from app.query.scan import position_of
from app.query.tail.events import EventFormat, record_events
from app.runtime.ledger import Holding
from app.stores.query import Position
from app.stores.source import Row

Room = Callable[[int], Holding | None]
"""Returns a holding of so many bytes; None if they do not fit."""


class Text:
    """The encoded events of a batch in one format, and the memory they hold."""

    __slots__ = ("_holding", "_starts", "_whole", "users")

    def __init__(self, events: list[bytes], holding: Holding) -> None:
        self._whole, self._starts = b"".join(events), [0, *accumulate(map(len, events))]
        self._holding, self.users = holding, 0
        holding.shrink(holding.size - len(self._whole))  # it was an estimate

    def behind(self, rows: int) -> bytes | memoryview:
        """Return the events after the first `rows`, without a copy."""
        return memoryview(self._whole)[self._starts[rows] :] if rows else self._whole

    def release(self) -> None:
        """Release the memory: no subscriber needs it any more."""
        self._holding.release()


class Batch:
    """All rows of a feed after `begins` and up to `reaches`.

    `size_bytes` is their approximate size; `more` says that there are more rows already.
    """

    def __init__(
        self, rows: list[Row], begins: Position, reaches: Position, *, size_bytes: int = 0, more: bool = False
    ) -> None:
        self.rows, self.begins, self.reaches = rows, begins, reaches
        self.size_bytes, self.more = size_bytes, more
        self.places = [position_of(row) for row in rows]
        self._texts: dict[EventFormat, Text] = {}
        self.is_kept = False

    def events(self, form: EventFormat, after: Position, room: Room) -> bytes | memoryview | None:
        """Return the events of the rows after `after`, to be released by `sent`; None if there is no room.

        They are encoded once for all subscribers with this format, as long as the batch is kept.
        """
        text = self._texts.get(form)
        if text is None:
            holding = room(self.size_bytes)
            if holding is None:
                return None
            text = self._texts[form] = Text(record_events(form, self.rows), holding)
        text.users += 1
        return text.behind(bisect_right(self.places, after))

    def sent(self, form: EventFormat) -> None:
        """Release one use of the events in this format."""
        self._texts[form].users -= 1
        if not self.is_kept:
            self.forget_unused()

    def forget_unused(self) -> None:
        """Drop the encoded events that are not being sent."""
        for form, text in [*self._texts.items()]:
            if not text.users:
                del self._texts[form]
                text.release()


class Recent:
    """The newest batches of a feed: all rows after `begins` and up to `reaches`, where the next batch begins."""

    def __init__(self, begins: Position, holding: Holding | None, *, max_rows: int, max_bytes: int) -> None:
        self.begins = self.reaches = begins
        self._holding = holding
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._batches: deque[Batch] = deque()
        self._rows = self._bytes = 0

    def add(self, batch: Batch) -> None:
        """Add the next batch; drop the oldest ones above the limits, and all of them if the ledger has no room."""
        self.reaches = batch.reaches
        if not batch.rows:
            return
        if self._holding is None or not self._holding.grow(batch.size_bytes):
            self.clear()
            return
        batch.is_kept = True
        self._batches.append(batch)
        self._rows, self._bytes = self._rows + len(batch.rows), self._bytes + batch.size_bytes
        while len(self._batches) > 1 and (self._rows > self._max_rows or self._bytes > self._max_bytes):
            self._drop_oldest()

    def clear(self) -> None:
        """Drop all batches added so far."""
        while self._batches:
            self._drop_oldest()
        self.begins = self.reaches

    def forget_unused(self) -> None:
        """Drop the encoded events that are not being sent; keep the rows."""
        for batch in self._batches:
            batch.forget_unused()

    def close(self) -> None:
        """Drop everything and release the holding."""
        self.clear()
        if self._holding is not None:
            self._holding.release()
            self._holding = None

    def _drop_oldest(self) -> None:
        oldest = self._batches.popleft()
        self._rows, self._bytes = self._rows - len(oldest.rows), self._bytes - oldest.size_bytes
        self.begins, oldest.is_kept = oldest.reaches, False
        oldest.forget_unused()
        if self._holding is not None:
            self._holding.shrink(oldest.size_bytes)

    def holds(self, position: Position) -> bool:
        """Whether the buffer has every row read after `position`."""
        return position >= self.begins

    def behind(self, position: Position) -> Batch | None:
        """Return the first batch that reaches beyond `position`; None: there are no rows after it."""
        return next((batch for batch in self._batches if batch.reaches > position), None)
