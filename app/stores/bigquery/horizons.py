"""How far the tables are settled, by the marks of all instances, which are read when a reader asks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import first_within
from app.settings.load import Settings
from app.stores.bigquery.watermarks import Limits, horizon_us, mark_of, newest_marks
from app.stores.query import poll_grid_us
from app.stores.source import Answer, QueryError
from app.stores.sql.statement import Statement

_WAIT_S = 3.0  # a reader goes on with what is known rather than wait longer
_log = logging.getLogger("sluice.watermarks")


class Horizons:
    """The settled horizon of all tables; it advances when marks are read, once a poll at most.

    It is never earlier than the fixed settle time allows, so failing to read marks costs freshness only.
    """

    def __init__(self, settings: Settings, clock: Clock, read: Callable[[Statement], Awaitable[Answer]]) -> None:
        self._limits, self._clock, self._read = Limits.of(settings.store), clock, read
        self._interval_us = poll_grid_us(round(settings.query.poll_s * MICROSECONDS))
        self._known_us = 0
        self._reading: asyncio.Task[int] | None = None
        self._begun_us: int | None = None
        self.learned_us: int | None = None
        """When the marks behind the horizon were asked for, by the clock's `elapsed_us`; None before the first."""
        self._has_failed = False

    def horizon_us(self) -> int:
        """Return the horizon as far as it is known."""
        return max(self._known_us, self._clock.now_us() - self._limits.settle_us)

    async def learn(self) -> int:
        """Read the marks, if that is due; return the bytes billed for it, 0 for all but one of concurrent callers."""
        if self._reading is not None and not self._reading.done():
            await first_within(self._clock, _WAIT_S, self._reading)
            return 0
        elapsed_us = self._clock.elapsed_us()
        if self._begun_us is not None and elapsed_us - self._begun_us < self._interval_us:
            return 0
        self._begun_us = elapsed_us
        self._reading = asyncio.create_task(self._look())
        await first_within(self._clock, _WAIT_S, self._reading)
        return self._reading.result() if self._reading.done() and not self._reading.cancelled() else 0

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()

    async def _look(self) -> int:
        asked_us, elapsed_us = self._clock.now_us(), self._clock.elapsed_us()
        try:
            answer = await self._read(newest_marks(asked_us, self._limits))
            marks = [*map(mark_of, answer.rows)]
        except (QueryError, ValueError) as error:  # a newer release may write states that this one does not know
            if not self._has_failed:
                _log.warning("the watermarks cannot be read, so readers wait for the settle time: %s", error)
            self._has_failed = True
            return 0
        self._has_failed = False
        found_us = horizon_us(marks, asked_us, self._limits)
        if found_us > self._known_us:
            self._known_us, self.learned_us = found_us, elapsed_us
        return answer.bytes_processed or 0
