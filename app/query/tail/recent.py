"""The newest rows of a feed, kept for whoever follows it. Pure.

Subscribers share them: each has a position and no queue of its own, so that a hundred of them take the memory of one,
and one that is slow takes none. Where it falls behind what is kept, it reads by itself until it is back.
"""

from bisect import bisect_right
from collections import deque
from itertools import accumulate

from app.query.cursor import Position
from app.query.runner import Row
from app.query.tail.events import Form, record_events
from app.query.walk import position_of


class Batch:
    """All rows of a feed behind `begins` and up to `reaches`.

    `size_bytes` is what they come to, about; `more` says that there are more already.
    """

    def __init__(
        self, rows: list[Row], begins: Position, reaches: Position, *, size_bytes: int = 0, more: bool = False
    ) -> None:
        self.rows, self.begins, self.reaches = rows, begins, reaches
        self.size_bytes, self.more = size_bytes, more
        self.places = [position_of(row) for row in rows]
        self._written: dict[Form, tuple[bytes, list[int]]] = {}

    def events(self, form: Form, after: Position) -> bytes:
        """Return the events of the rows behind `after`; each is written once for all who want this form."""
        if form not in self._written:
            events = record_events(form, self.rows)
            self._written[form] = b"".join(events), [0, *accumulate(map(len, events))]
        whole, starts = self._written[form]
        return whole[starts[bisect_right(self.places, after)] :]


class Recent:
    """The newest batches of a feed: everything behind `begins` and up to `reaches`, where the next one is to begin."""

    def __init__(self, begins: Position, *, max_rows: int, max_bytes: int) -> None:
        self.begins = self.reaches = begins
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._batches: deque[Batch] = deque()
        self._rows = self._bytes = 0

    def add(self, batch: Batch) -> None:
        """Take the next batch; the oldest ones go where there is no room, but never the newest."""
        self.reaches = batch.reaches
        if not batch.rows:
            return
        self._batches.append(batch)
        self._rows, self._bytes = self._rows + len(batch.rows), self._bytes + batch.size_bytes
        while len(self._batches) > 1 and (self._rows > self._max_rows or self._bytes > self._max_bytes):
            oldest = self._batches.popleft()
            self._rows, self._bytes = self._rows - len(oldest.rows), self._bytes - oldest.size_bytes
            self.begins = oldest.reaches

    def forget(self) -> None:
        """Let go of all batches: whoever stands behind `reaches` reads by itself."""
        self._batches.clear()
        self._rows = self._bytes = 0
        self.begins = self.reaches

    def holds(self, position: Position) -> bool:
        """Whether what lies behind `position` is here, as far as there is any."""
        return position >= self.begins

    def behind(self, position: Position) -> Batch | None:
        """Return the first batch that reaches beyond `position`; None: there are no rows behind it."""
        return next((batch for batch in self._batches if batch.reaches > position), None)
