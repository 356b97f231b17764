"""The pages that tails send: each is read and encoded once, for all equal tails at the same position."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from app.auth.byte_budget import context_of_the_payer
from app.http.problems import ProblemError
from app.query.answer.conditional import as_key
from app.query.answer.events import events_of
from app.query.read.cache import Cache, CachedAnswer
from app.query.read.feed import Budget, Feed
from app.query.read.reads import problem_of
from app.query.request.cursor import position_in
from app.query.request.parameters import MAX_LIMIT
from app.query.request.scan import Scan, tail_scan
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import DAY_US
from app.runtime.single_flight import SingleFlight
from app.settings.fields import MIB
from app.stores.query import Position
from app.stores.source import QueryError

BATCH_BYTES = MIB // 2
"""The approximate size limit for the rows of one page; a single record may be larger."""
PATIENCE_S = 30.0
"""How long the store may fail before the tails that wait for it end."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 8.0
MOST_READS = 4
"""How many reads run at once: after a restart all tails catch up, while other callers read pages."""
_KEPT_S = 10.0  # for tails that are slightly behind
_log = logging.getLogger("sluice.query")


class TailBatches:
    """Reads one feed forward, as far as it is settled, for all tails of its table.

    The horizon is looked at once in a poll, so tails that have caught up are at the same position and share what
    follows. `namespace` changes with every erasure: what was kept before may hold an erased record.
    """

    def __init__(self, feed: Feed, cache: Cache, namespace: Callable[[], str], turn: asyncio.Semaphore) -> None:
        self.feed, self._cache, self._namespace, self._turn = feed, cache, namespace, turn
        self._clock, self._limits = feed.environment.clock, feed.environment.settings.query
        self._looks = SingleFlight[str, None]()
        self._horizon_us, self._looked_us = 0, -(1 << 62)
        self._version: int | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits."""
        return not self._looks

    async def after(self, scan: Scan, cursor: str) -> CachedAnswer:
        """Return the events behind `cursor` that `scan` asks for, once there may be some, and the next cursor.

        Raises:
            ProblemError: the store has failed for PATIENCE_S.
        """
        begins = position_in(cursor, table=scan.table, fingerprint=scan.fingerprint)
        # Work for all tails outlives the first one's request and trace, so its context knows only who pays.
        while begins.ingest_us >= self._horizon_us:
            await self._looks.run("", self._look, context_of_the_payer())
        longest_us = self._limits.max_window_days * DAY_US
        scan = tail_scan(scan, begins, self._horizon_us, longest_us)
        key = as_key(self._namespace(), "tail", repr(scan.columns), repr(scan.conditions), cursor)
        answer, _ = await self._cache.answer(key, _KEPT_S, lambda: self._patiently(scan), context_of_the_payer())
        return answer

    def start(self, begins: Position) -> Position:
        """Return where a tail that is to begin at `begins` may begin: at an earlier horizon if nothing is in between.

        So the tails that were opened since the last row share what they read.
        """
        if self.feed.version() is not None:
            self._move_horizon()
            if self._horizon_us <= begins.ingest_us <= self.feed.horizon_us():
                return Position(self._horizon_us, "")
        return begins

    async def _look(self) -> None:
        """Move the horizon, a poll after the last time, and once there may be new rows."""
        passed_us = self._horizon_us
        while self._horizon_us == passed_us:
            due_us = self._looked_us + round(self.feed.runner.poll_s * MICROSECONDS)
            if (left_us := due_us - self._clock.elapsed_us()) > 0:
                await self._clock.sleep(left_us / MICROSECONDS)
            self._looked_us = self._clock.elapsed_us()
            await self.feed.learn_horizon()
            self._move_horizon()

    def _move_horizon(self) -> None:
        """Move the horizon unless the store knows that it has no rows behind it."""
        version = self.feed.version()  # before the horizon: every row that it counts lies before the horizon
        if version is None or version != self._version:
            self._version, self._horizon_us = version, self.feed.horizon_us()

    async def _patiently(self, scan: Scan) -> CachedAnswer:
        """Return the next events, with exponential backoff if the store fails."""
        failing_since_us, pause_s = None, _FIRST_PAUSE_S
        while True:
            try:
                async with self._turn:
                    return await self._read(scan)
            except QueryError as error:
                now_us = self._clock.elapsed_us()
                failing_since_us = now_us if failing_since_us is None else failing_since_us
                _log.warning("a tail query failed: %s", error)
                if now_us + pause_s * MICROSECONDS > failing_since_us + PATIENCE_S * MICROSECONDS:
                    raise problem_of(error) from error
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _read(self, scan: Scan) -> CachedAnswer:
        scan = msgspec.structs.replace(scan, limit=MAX_LIMIT)
        page = await self.feed.page(scan, Budget(self.feed.environment, BATCH_BYTES))
        return CachedAnswer("json", {"Sluice-Resume-Cursor": page.resume_cursor}, events_of(page), bool(page.rows))


def unexpected(error: Exception) -> ProblemError:
    """Return the problem for a defect, which is logged."""
    _log.error("unexpected failure of a tail", exc_info=error)
    return ProblemError("internal", "the stream ended because of an internal error; reconnect")
