"""What one request may cost, however many queries it makes: time, bytes read and bytes answered."""

from app.runtime.clock import MICROSECONDS, Clock
from app.stores.source import Answer


class Budget:
    """Counts what the queries of one request took.

    `max_s` and `max_bytes_processed` end a page early, with a cursor to go on from, once they are used up; a query that
    has begun is not stopped by them. `page_bytes_left` is what the next query's rows may come to.
    """

    def __init__(self, clock: Clock, *, max_s: float, max_bytes_processed: int, max_page_bytes: int) -> None:
        self._clock, self._max_bytes_processed = clock, max_bytes_processed
        self._ends_us = clock.elapsed_us() + round(max_s * MICROSECONDS)
        self.page_bytes_left = max_page_bytes
        self.bytes_processed: int | None = None

    def spend(self, answer: Answer) -> None:
        """Take off what a query took."""
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
