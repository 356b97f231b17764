"""A wall clock in microseconds that never stands still or goes back, and a fake for tests."""

import asyncio
import heapq
import itertools
import time
from typing import Protocol

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """What the service needs of time."""

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, greater at every call."""
        ...

    def advance_to(self, not_before_us: int) -> None:
        """Never again return a time at or before `not_before_us`."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class SystemClock:
    """The operating system's clock, made strictly monotone.

    Two stamps are never equal and never step back, even when the machine's time does: the embedded
    store's settled horizon and the order of the feed lean on it. `not_before_us` carries the promise
    over a restart: the newest stamp already in the store.
    """

    def __init__(self, not_before_us: int = 0) -> None:
        self._last_us = not_before_us

    def now_us(self) -> int:
        """Return microseconds since the Unix epoch, greater at every call."""
        self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
        return self._last_us

    def advance_to(self, not_before_us: int) -> None:
        """Never again return a time at or before `not_before_us`."""
        self._last_us = max(self._last_us, not_before_us)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock that moves only when told to; sleepers wake in the order of their deadlines."""

    def __init__(self, now_us: int = 1_700_000_000 * MICROSECONDS) -> None:
        self._now_us = now_us
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_us(self) -> int:
        """Return the fake time, one microsecond later at every call."""
        self._now_us += 1
        return self._now_us

    def advance_to(self, not_before_us: int) -> None:
        """Never again return a time at or before `not_before_us`."""
        self._now_us = max(self._now_us, not_before_us)

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has carried the clock past now + `seconds`."""
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_us + round(seconds * MICROSECONDS), next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Move on by `seconds`, waking each sleeper at its time and letting it run."""
        target_us = self._now_us + round(seconds * MICROSECONDS)
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= target_us:
            due_us, _, wake = heapq.heappop(self._sleepers)
            self._now_us = max(self._now_us, due_us)
            if not wake.done():
                wake.set_result(None)
            await self._settle()
        self._now_us = max(self._now_us, target_us)
        await self._settle()

    @staticmethod
    async def _settle() -> None:
        for _ in range(50):  # enough turns of the loop for a chain of awaits to run dry
            await asyncio.sleep(0)
