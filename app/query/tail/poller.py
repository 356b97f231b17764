"""Read what is new for a group of subscribers, and retry if the store fails."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from app.auth.byte_budget import context_of_the_payer
from app.http.problems import ProblemError
from app.query.feed import Budget, Feed
from app.query.params.parameters import MAX_LIMIT
from app.query.reads import problem_of
from app.query.scan import Scan, View
from app.query.tail.recent import Batch, Recent
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import DAY_US, MINUTE_US, clamp
from app.runtime.ledger import Holding
from app.runtime.time_range import TimeRange
from app.settings.fields import MIB
from app.settings.query import QuerySettings
from app.stores.query import Condition, Position
from app.stores.source import QueryError

BATCH_BYTES = MIB
"""The approximate size limit for the rows of one batch; a single record may be larger."""
PATIENCE_S = 30.0
"""How long the store may fail before the streams that depend on it end."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 8.0
_log = logging.getLogger("sluice.query")
_KEPT_BATCHES = 2  # for subscribers that are slightly behind; there may be as many pollers as subscribers
_NEAR_US = MINUTE_US


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

    async def learn_horizon(self) -> None:
        """Learn how far the table is settled, if that takes a query and is due."""
        await self._feed.learn_horizon()

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
            window=TimeRange(begins.ingest_us, until_us),
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
        failing_since_us, pause_s, logged_type = None, _FIRST_PAUSE_S, None
        while True:
            try:
                async with turn or nullcontext():
                    batch = await self.batch(begins)
            except QueryError as error:
                now_us = self._clock.elapsed_us()
                failing_since_us = now_us if failing_since_us is None else failing_since_us
                if type(error) is not logged_type:
                    logged_type = type(error)
                    _log.warning("a tail query failed and will be retried: %s", error)
                if now_us + pause_s * MICROSECONDS > failing_since_us + PATIENCE_S * MICROSECONDS:
                    _log.warning("a tail query failed, and the stream ends: %s", error)
                    raise problem_of(error) from error
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                if logged_type is not None:
                    _log.info("a tail query succeeds again")
                return batch


def unexpected(failure: Exception) -> ProblemError:
    """Return the problem for an unexpected failure, which is logged."""
    if isinstance(failure, ProblemError):
        return failure
    _log.error("unexpected failure of a tail", exc_info=failure)
    return ProblemError("internal", "the stream ended because of an internal error; reconnect")


class Poller:
    """Reads a feed continuously; the latest rows are in `recent`. If it cannot continue, it ends with a `problem`.

    `holding` is charged with the rows it keeps.

    It begins at the horizon, or at its first subscriber's position if that is shortly before the horizon. Then that
    subscriber need not read for itself the rows that all others are about to need, for example after a restart. The
    kept rows are dropped when `erasures` returns a different number: an erased record may be among them.
    """

    def __init__(
        self, reader: Reader, first: Position, clock: Clock, holding: Holding | None, erasures: Callable[[], int]
    ) -> None:
        self._reader, self._clock = reader, clock
        self._erasures, self._seen_erasures = erasures, erasures()
        horizon_us = reader.horizon_us()
        is_near = horizon_us - _NEAR_US <= first.ingest_us < horizon_us
        begins = first if is_near else Position(horizon_us, "")
        self._recent = Recent(
            begins, holding, max_rows=_KEPT_BATCHES * MAX_LIMIT, max_bytes=_KEPT_BATCHES * BATCH_BYTES
        )
        self.problem: ProblemError | None = None
        self._watchers: set[Callable[[], None]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def recent(self) -> Recent:
        """The newest rows, cleared if a record was erased since they were read."""
        if self._erasures() != self._seen_erasures:
            self._seen_erasures = self._erasures()
            self._recent.clear()
        return self._recent

    @property
    def is_watched(self) -> bool:
        """Whether there are subscribers."""
        return bool(self._watchers)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there are rows or a problem; the first call starts the poller."""
        self._watchers.add(wake)
        if self._task is None:
            # In a context of its own: it reads for all subscribers, and outlives the first one's request and trace.
            # The first one pays.
            self._task = asyncio.create_task(self._run(), context=context_of_the_payer())

    def leave(self, wake: Callable[[], None]) -> None:
        """Stop calling `wake`."""
        self._watchers.discard(wake)

    async def stop(self) -> None:
        """Cancel the poller and its query, and wait until both have ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.recent.close()

    async def _run(self) -> None:
        try:
            seen: int | None = None
            while True:
                await self._reader.learn_horizon()
                begins, horizon = self.recent.reaches, Position(self._reader.horizon_us(), "")
                erasures = self._erasures()
                version = self._reader.version()  # after the horizon: equal versions mean no new rows up to it
                if version is not None and version == seen:
                    batch = Batch([], begins, max(begins, horizon))
                else:
                    batch = await self._reader.next_batch_with_retry(begins)
                seen = None if batch.more else version
                self.recent.add(batch)
                if erasures != self._erasures():  # while it was read
                    self._recent.clear()
                if batch.rows:
                    self._wake()
                if not batch.more:
                    await self._clock.sleep(self._reader.poll_s)
        except Exception as error:  # of any kind: no subscriber may keep waiting for this poller
            self.problem = unexpected(error)
            self._wake()

    def _wake(self) -> None:
        for wake in self._watchers:
            wake()
