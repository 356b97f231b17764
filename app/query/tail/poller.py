"""Look for new rows, for everybody who wants the same ones."""

import asyncio
from collections.abc import Callable
from contextvars import Context

from app.http.problems import ProblemError
from app.query.cursor import Position
from app.query.params.catalogue import MAX_LIMIT
from app.query.tail.reading import BATCH_BYTES, Reader, unexpected
from app.query.tail.recent import Batch, Recent
from app.runtime.clock import Clock
from app.runtime.instants import MINUTE_US
from app.runtime.ledger import Holding

_KEPT_BATCHES = 2  # for those who are a little late; there may be as many pollers as subscribers
_NEAR_US = MINUTE_US


class Poller:
    """Reads a feed on and on; what it found last is in `recent`. It ends where it cannot go on, with a `problem`.

    `holding` is charged with what it keeps.

    It begins at the horizon, or where its first subscriber stands, if that is little before: then that one need not
    read by itself what everybody else is about to want, too, such as after a restart. What it found is forgotten when
    `erasures` returns another number: an erased record may be among it.
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
        """The newest rows, as far as nothing was erased since they were read."""
        if self._erasures() != self._seen_erasures:
            self._seen_erasures = self._erasures()
            self._recent.clear()
        return self._recent

    @property
    def is_watched(self) -> bool:
        """Whether anybody is interested."""
        return bool(self._watchers)

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there are rows, or a problem; begin reading for the first who asks."""
        self._watchers.add(wake)
        if self._task is None:
            # In a context of its own: it reads for all, and outlives the request of the first, and that one's trace.
            self._task = asyncio.create_task(self._run(), context=Context())

    def leave(self, wake: Callable[[], None]) -> None:
        """Call `wake` no more."""
        self._watchers.discard(wake)

    async def stop(self) -> None:
        """End it, and its query, and wait for that."""
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
                version = self._reader.version()  # after the horizon: between two equal ones nothing is new up to it
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
        except Exception as error:  # whatever it is, nobody is to wait for this poller any longer
            self.problem = unexpected(error)
            self._wake()

    def _wake(self) -> None:
        for wake in self._watchers:
            wake()
