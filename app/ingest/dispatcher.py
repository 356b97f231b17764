"""Send what waits in batches: when, how much at once, and how many at a time.

Group commit: while appends are under way the next batch fills. A batch that is not full goes out when fewer than
`eager` are under way, at a distance that `spacing` keeps; a full one as long as there are fewer than `concurrency`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from typing import Any

from app.ingest.append_spacing import AppendSpacing
from app.ingest.batcher import Batcher, BatchLimits
from app.ingest.pending import Pending
from app.runtime.clock import MICROSECONDS, Clock, Timer


class Dispatcher:
    """Hands batches to `send`, which returns when nobody waits for any row of the batch any more."""

    def __init__(
        self,
        send: Callable[[list[Pending]], Awaitable[None]],
        clock: Clock,
        limits: BatchLimits,
        *,
        eager: int,
        concurrency: int,
    ) -> None:
        self._send, self._clock, self._eager, self._concurrency = send, clock, eager, concurrency
        self._batcher: Batcher[Pending] = Batcher(limits)
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: asyncio.Handle | Timer | None = None
        self._is_due_soon = self._closed = False
        self.under_way = 0
        """How many batches are with `send`."""
        self.spacing = AppendSpacing(clock.elapsed_us, eager)

    def __len__(self) -> int:
        """Return how many parts of messages wait."""
        return len(self._batcher)

    @property
    def oldest(self) -> Pending | None:
        """The part that has waited longest."""
        return self._batcher.oldest

    def add(self, parts: Sequence[Pending]) -> None:
        """Send these in their turn; not at once, as the messages that arrive in this turn of the loop share a batch."""
        for part in parts:
            self._batcher.add(part)
        if self._due is None or (self._batcher.is_full and not self._is_due_soon):
            self._plan()

    def take_all(self) -> list[Pending]:
        """Remove and return what waits."""
        return self._batcher.take_all()

    async def close(self) -> None:
        """End what is under way, and drop what waits."""
        self._closed = True
        self._unplan()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._batcher.take_all()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside, until `close`."""
        # In a context of its own: the trace of the message that began it is not that of all the others.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _plan(self) -> None:
        """Have the next batch sent when it may go; where it may not yet, the end of an append plans anew."""
        wait_us = self._wait_us()
        if wait_us == 0:
            self._unplan()
            self._due, self._is_due_soon = asyncio.get_running_loop().call_soon(self._dispatch), True
        elif wait_us is not None and self._due is None:
            self._due = self._clock.call_later(wait_us / MICROSECONDS, self._dispatch)

    def _unplan(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due, self._is_due_soon = None, False

    def _wait_us(self) -> int | None:
        """Return how long what waits is to wait still, None where that is not for time to say."""
        if self._batcher.is_full and self.under_way < self._concurrency:
            return 0
        return self.spacing.wait_us(self.under_way) if self.under_way < self._eager else None

    def _dispatch(self) -> None:
        self._unplan()
        while len(self._batcher) and not self._closed:
            if self._wait_us() != 0:
                self._plan()
                return
            self.under_way += 1
            self.spacing.begun()
            self.spawn(self._run(self._batcher.take()))

    async def _run(self, batch: list[Pending]) -> None:
        try:
            await self._send(batch)
        finally:
            self.under_way -= 1
            self._dispatch()
