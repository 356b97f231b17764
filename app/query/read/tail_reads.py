"""The reads behind tails: at the same position, with the same filters, they read and encode once."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable

from cachetools import LRUCache

from app.auth.byte_budget import context_of_the_payer
from app.environment import Environment
from app.http.problems import ProblemError
from app.query.answer.tail_events import EventFormat, record_events
from app.query.read.feed import Budget, Feed
from app.query.read.reads import problem_of
from app.query.request.parameters import MAX_LIMIT
from app.query.request.scan import Scan, View
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import DAY_US, clamp
from app.runtime.single_flight import SingleFlight
from app.runtime.time_range import TimeRange
from app.settings.fields import MIB
from app.stores.query import Condition, Position
from app.stores.source import QueryError, Row

BATCH_BYTES = MIB // 2
"""The approximate size limit for the rows of one batch; a single record may be larger."""
PATIENCE_S = 30.0
"""How long the store may fail before the tails that wait for it end."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 8.0
MOST_READS = 4
"""How many reads run at once: after a restart all tails catch up, while other callers read pages."""
_KNOWN_FILTERS = 256
_KEPT_BATCHES = 2  # for tails that are slightly behind
_log = logging.getLogger("sluice.query")


class Batch:
    """The rows of a feed after a position, up to the position that the batch `reaches`."""

    def __init__(self, rows: list[Row], reaches: Position) -> None:
        self.rows, self.reaches = rows, reaches
        self._events: dict[EventFormat, bytes] = {}

    def events(self, form: EventFormat) -> bytes:
        """Return the events of the rows, encoded once for all tails with this format."""
        if form not in self._events:
            self._events[form] = b"".join(record_events(form, self.rows))
        return self._events[form]


class TailReads:
    """Reads one feed forward, as far as it is settled, for all tails of its table.

    The horizon is looked at once in a poll, so tails that have caught up are at the same position and share what
    follows. Shared batches are dropped when `erasures` returns another number: an erased record may be among them.
    """

    def __init__(
        self, feed: Feed, environment: Environment, erasures: Callable[[], int], turn: asyncio.Semaphore
    ) -> None:
        self._feed, self._clock, self._turn = feed, environment.clock, turn
        self._limits, self._erasures = environment.settings.query, erasures
        self._horizon_us, self._looked_us = 0, -(1 << 62)
        self._version: int | None = None
        """The store's version before the horizon was looked at: every row that it counts lies before the horizon."""
        self._looks, self._batches = SingleFlight[str, None](), SingleFlight[tuple[str, Position], Batch]()
        self._kept: OrderedDict[tuple[str, Position], Batch] = OrderedDict()
        self._kept_erasures = erasures()
        self._seen: LRUCache[str, tuple[Position, int]] = LRUCache(_KNOWN_FILTERS)
        """By filters: the horizon up to which everything was read, and the version of that horizon."""

    async def after(self, begins: Position, conditions: tuple[Condition, ...]) -> Batch:
        """Return the next rows after `begins` that match `conditions`, once there may be some.

        Raises:
            ProblemError: the store has failed for PATIENCE_S.
        """
        if begins.ingest_us >= self._horizon_us:
            await self._looks.run("", self._look, context_of_the_payer())
        key = repr(conditions), begins  # as text: 1, 1.0 and True are equal, but not as filters
        batch = self._shared().get(key)
        if batch is None:
            # In a context of its own: it reads for all tails, and outlives the first one's request and trace.
            batch, _ = await self._batches.run(key, lambda: self._patiently(key, conditions), context_of_the_payer())
        return batch

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being read."""
        return not self._looks and not self._batches

    def _shared(self) -> OrderedDict[tuple[str, Position], Batch]:
        if self._erasures() != self._kept_erasures:
            self._kept_erasures = self._erasures()
            self._kept.clear()
        return self._kept

    async def _look(self) -> None:
        """Look at the horizon, a poll after the last time."""
        due_us = self._looked_us + round(self._feed.runner.poll_s * MICROSECONDS)
        if (left_us := due_us - self._clock.elapsed_us()) > 0:
            await self._clock.sleep(left_us / MICROSECONDS)
        self._looked_us = self._clock.elapsed_us()
        await self._feed.learn_horizon()
        self._version = self._feed.runner.version(self._feed.table.name)
        self._horizon_us = self._feed.horizon_us()

    async def _patiently(self, key: tuple[str, Position], conditions: tuple[Condition, ...]) -> Batch:
        """Return the next rows, with exponential backoff if the store fails."""
        failing_since_us, pause_s, logged_type = None, _FIRST_PAUSE_S, None
        while True:
            try:
                async with self._turn:
                    batch = await self._read(key, conditions)
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

    async def _read(self, key: tuple[str, Position], conditions: tuple[Condition, ...]) -> Batch:
        (filters, begins), horizon_us, version = key, self._horizon_us, self._version
        longest_us = self._limits.max_window_days * DAY_US
        # The horizon may be before `begins`: by another instance's clock, or because the caller requested future rows.
        until_us = max(begins.ingest_us, min(horizon_us, clamp(begins.ingest_us + longest_us)))
        reaches = max(begins, Position(until_us, ""))
        # After the horizon: if it is the version of the last one, there are no rows in between.
        current = self._feed.runner.version(self._feed.table.name)
        if current is not None and self._seen.get(filters) == (begins, current):
            self._seen[filters] = reaches, current
            return Batch([], reaches)
        if reaches == begins:
            if version is not None and begins == Position(horizon_us, ""):
                self._seen[filters] = begins, version
            return Batch([], reaches)
        scan = Scan(
            table=self._feed.table.name,
            window=TimeRange(begins.ingest_us, until_us),
            descending=False,
            after=begins if begins.delivery_key else None,
            is_resumed=True,
        )
        budget = Budget(
            self._clock,
            max_s=self._limits.page_budget_s,
            max_bytes_processed=self._limits.query_max_bytes_billed,
            max_page_bytes=BATCH_BYTES,
        )
        erasures = self._erasures()
        # All columns: tails select different ones.
        page = await self._feed.page(scan, View(self._feed.table.columns, conditions), MAX_LIMIT, budget)
        batch = Batch(page.rows, reaches if page.stopped_at is None else max(begins, page.stopped_at))
        if page.stopped_at is None and version is not None and until_us == horizon_us:
            self._seen[filters] = reaches, version
        if page.rows and erasures == self._erasures():
            shared = self._shared()
            shared[key] = batch
            if len(shared) > _KEPT_BATCHES:
                shared.popitem(last=False)
        return batch


def unexpected(failure: Exception) -> ProblemError:
    """Return the problem for an unexpected failure, which is logged."""
    if isinstance(failure, ProblemError):
        return failure
    _log.error("unexpected failure of a tail", exc_info=failure)
    return ProblemError("internal", "the stream ended because of an internal error; reconnect")
