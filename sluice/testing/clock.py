"""A clock that a test moves, with which hours pass in milliseconds."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

from app.runtime.clock import MICROSECONDS, Moment, Timer


async def settled(most: int = 50) -> None:
    """Let everything that can run, run: until asyncio's loop has nothing ready, for at most `most` iterations.

    Each iteration asks the kernel for events, which takes longer than what most of them run. What a thread or a socket
    is still to bring is not waited for.
    """
    ready = getattr(asyncio.get_running_loop(), "_ready", None)  # other loops keep theirs to themselves
    idle = 0
    for _ in range(most):
        await asyncio.sleep(0)
        idle = 0 if ready is None or ready else idle + 1
        if idle == _IDLE:
            return


_IDLE = 2
"""So many idle iterations in a row: the kernel may have had an event at the end of the first."""


class _FakeTimer:
    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class FakeClock:
    """A clock that moves only when a test advances it; sleepers wake in the order of their times."""

    def __init__(self, now_us: int = 1_700_000_000 * MICROSECONDS) -> None:
        self._now_us = now_us
        self._elapsed_us = 0
        self.doubt = ""
        """What `trouble` returns."""
        self._order = itertools.count()
        self._timers: list[tuple[int, int, _FakeTimer]] = []

    def now_us(self) -> int:
        """Return the fake time, one microsecond later at every call."""
        self._now_us += 1
        return self._now_us

    def elapsed_us(self) -> int:
        """Return by how much the clock was advanced."""
        return self._elapsed_us

    def moment(self) -> Moment:
        """Return this instant."""
        return Moment(self._elapsed_us, self._now_us)

    def trouble(self) -> str:
        """Return the reason that the test has set."""
        return self.doubt

    def advance_to(self, not_before_us: int) -> None:
        """Never again return a time at or before `not_before_us` from `now_us`."""
        self._now_us = max(self._now_us, not_before_us)

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has carried the clock past `seconds` from here."""
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.call_later(seconds, lambda: None if wake.done() else wake.set_result(None))
        await wake

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call `call` when `advance` has carried the clock past `seconds` from here."""
        timer = _FakeTimer(call)
        due_us = self._elapsed_us + round(seconds * MICROSECONDS)
        heapq.heappush(self._timers, (due_us, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Move on by `seconds`, waking each sleeper at its time and letting it run."""
        target_us = self._elapsed_us + round(seconds * MICROSECONDS)
        await settled()
        while self._timers and self._timers[0][0] <= target_us:
            due_us, _, timer = heapq.heappop(self._timers)
            if timer.call is None:
                continue
            self._move_to(due_us)
            timer.call()
            await settled()
        self._move_to(target_us)
        await settled()

    async def jump(self, seconds: float) -> None:
        """Move on by `seconds` at once, as if the process had been stopped meanwhile: sleepers wake too late."""
        self._move_to(self._elapsed_us + round(seconds * MICROSECONDS))
        await self.advance(0)

    def _move_to(self, elapsed_us: int) -> None:
        self._now_us += max(elapsed_us - self._elapsed_us, 0)
        self._elapsed_us = max(elapsed_us, self._elapsed_us)
