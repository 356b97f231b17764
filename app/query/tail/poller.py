"""Poll for new rows, on behalf of all subscribers with the same filters."""

import asyncio
from collections.abc import Callable
from contextvars import Context

from app.http.problems import ProblemError
from app.query.params.catalogue import MAX_LIMIT
from app.query.tail.reading import BATCH_BYTES, Reader, unexpected
from app.query.tail.recent import Batch, Recent
from app.runtime.clock import Clock
from app.runtime.instants import MINUTE_US
from app.runtime.ledger import Holding
from app.stores.query import Position

_KEPT_BATCHES = 2  # for subscribers that are slightly behind; there may be as many pollers as subscribers
_NEAR_US = MINUTE_US


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
            self._task = asyncio.create_task(self._run(), context=Context())

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
