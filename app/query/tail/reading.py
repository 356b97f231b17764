"""Read the rows after a position, and retry if the store fails."""

import logging
from contextlib import AbstractAsyncContextManager, nullcontext

from app.http.problems import ProblemError
from app.query.budget import Budget
from app.query.feed import Feed
from app.query.params.catalogue import MAX_LIMIT
from app.query.params.page import Window
from app.query.problems import problem_of
from app.query.retrieval import View
from app.query.scan import Scan
from app.query.tail.recent import Batch
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import DAY_US, clamp
from app.settings.query import QuerySettings
from app.settings.room import MIB
from app.stores.query import Condition, Position
from app.stores.source import QueryError

BATCH_BYTES = MIB
"""The approximate size limit for the rows of one batch; a single record may be larger."""
PATIENCE_S = 30.0
"""How long the store may fail before the streams that depend on it end."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 8.0
_log = logging.getLogger("sluice.query")


class Reader:
    """Reads a feed forward, as far as it is settled: the rows that match `conditions`, with all their columns."""

    def __init__(self, feed: Feed, conditions: tuple[Condition, ...], settings: QuerySettings, clock: Clock) -> None:
        self.poll_s = feed.runner.poll_s
        self._feed, self._settings, self._clock = feed, settings, clock
        self._view = View(feed.table.columns, conditions)  # subscribers select different columns
        self._max_window_us = settings.max_window_days * DAY_US

    def version(self) -> int | None:
        """Return a number that changes as soon as there are new rows; None if the store cannot tell."""
        return self._feed.runner.version(self._feed.table.name)

    def horizon_us(self) -> int:
        """Return the settled horizon: no row with an earlier timestamp can still appear."""
        return self._feed.horizon_us()

    async def batch(self, begins: Position) -> Batch:
        """Return the next rows after `begins`.

        Raises:
            QueryError: the store gave no answer.
        """
        horizon_us = self.horizon_us()
        # The horizon may be before `begins`: by another instance's clock, or because the caller requested future rows.
        until_us = max(begins.ingest_us, min(horizon_us, clamp(begins.ingest_us + self._max_window_us)))
        scan = Scan(
            table=self._feed.table.name,
            window=Window(begins.ingest_us, until_us),
            descending=False,
            after=begins if begins.delivery_key else None,
            is_resumed=True,
        )
        budget = Budget(
            self._clock,
            max_s=self._settings.page_budget_s,
            max_bytes_processed=self._settings.query_max_bytes_billed,
            max_page_bytes=BATCH_BYTES,
        )
        reading = await self._feed.page(scan, self._view, MAX_LIMIT, budget)
        return Batch(
            reading.rows,
            begins,
            max(begins, reading.stopped_at or Position(until_us, "")),
            size_bytes=BATCH_BYTES - budget.page_bytes_left,
            more=reading.stopped_at is not None or until_us < horizon_us,
        )

    async def next_batch_with_retry(
        self, begins: Position, turn: AbstractAsyncContextManager[object] | None = None
    ) -> Batch:
        """Return the next rows after `begins`, with exponential backoff if the store fails; each attempt in a `turn`.

        Raises:
            ProblemError: it has failed for PATIENCE_S.
        """
        failing_since_us, pause_s, told = None, _FIRST_PAUSE_S, None
        while True:
            try:
                async with turn or nullcontext():
                    batch = await self.batch(begins)
            except QueryError as error:
                now_us = self._clock.elapsed_us()
                failing_since_us = now_us if failing_since_us is None else failing_since_us
                if type(error) is not told:
                    told = type(error)
                    _log.warning("a tail query failed and will be retried: %s", error)
                if now_us + pause_s * MICROSECONDS > failing_since_us + PATIENCE_S * MICROSECONDS:
                    _log.warning("a tail query failed, and the stream ends: %s", error)
                    raise problem_of(error) from error
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if told is not None:
                    _log.info("a tail query succeeds again")
                return batch


def unexpected(failure: Exception) -> ProblemError:
    """Return the problem for an unexpected failure, which is logged."""
    if isinstance(failure, ProblemError):
        return failure
    _log.error("unexpected failure of a tail", exc_info=failure)
    return ProblemError("internal", "the stream ended because of an internal error; reconnect")
