"""The cost limit of one request over all its queries: time, bytes read and bytes returned."""

from app.runtime.clock import MICROSECONDS, Clock
from app.stores.source import Answer


class Budget:
    """Counts the cost of the queries of one request.

    Once `max_s` or `max_bytes_processed` is used up, the page ends early, with a cursor to continue from. They do not
    stop a query that has begun. `page_bytes_left` is the size limit for the rows of the next query.
    """

    def __init__(self, clock: Clock, *, max_s: float, max_bytes_processed: int, max_page_bytes: int) -> None:
        self._clock, self._max_bytes_processed = clock, max_bytes_processed
        self._ends_us = clock.elapsed_us() + round(max_s * MICROSECONDS)
        self.page_bytes_left = max_page_bytes
        self.bytes_processed: int | None = None

    def spend(self, answer: Answer) -> None:
        """Deduct the cost of a query."""
        self.page_bytes_left -= answer.fetched_bytes
        if answer.bytes_processed is not None:
            self.bytes_processed = (self.bytes_processed or 0) + answer.bytes_processed

    @property
    def is_used_up(self) -> bool:
        """Whether no further query should begin."""
        return (
            self.page_bytes_left <= 0
            or (self.bytes_processed or 0) >= self._max_bytes_processed
            or self._clock.elapsed_us() >= self._ends_us
        )
