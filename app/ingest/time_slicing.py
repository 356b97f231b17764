"""Run long work in short stretches, so that the event loop serves other requests in between."""

import asyncio
from collections import deque

from app.ingest.decode.weight import Result, Steps
from app.ingest.verdict import Throttled, Unavailable
from app.ingest.write.messages import LATE
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import Deadlines
from app.runtime.ledger import Holding

_STRETCH_US = MICROSECONDS // 100
_PAUSE = 0.25
"""How long the pause after a stretch is, as a share of it. With a quarter, 28 MiB of GeoJSON take 2.1 s instead of 1.7,
and a concurrent push takes 0.2 s (p99) instead of 0.6."""
HEAVY_BYTES = 1024**2
"""Work that holds more runs one at a time, so that the memory of ten such messages is not needed at once."""
_NO_ROOM = Throttled("too many messages of this caller are in flight on this instance", 1.0)
_CLOSED = Unavailable("the instance is shutting down", 1.0)


class CooperativeRunner:
    """Runs `Steps`: yields to the event loop between them, charges the memory they hold, and stops at the deadline."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._turn = clock, _Turn(clock)

    async def run(
        self, steps: Steps[Result], deadline_us: int, holding: Holding | None = None, size: int = 0
    ) -> Result | Unavailable | Throttled:
        """Return the result of `steps`, or why they were abandoned.

        `deadline_us` is on the clock's `elapsed_us`. Bytes are charged to `holding`, if there is one; `size` is what
        the work holds at the start.
        """
        clock, has_turn = self._clock, False
        pause_us = clock.elapsed_us() + _STRETCH_US
        try:
            while True:
                grown = next(steps)
                if grown and holding is not None and not holding.grow(grown):
                    return _NO_ROOM
                size += grown
                if size > HEAVY_BYTES and not has_turn:
                    refusal = await self._turn.take(deadline_us)
                    if refusal is not None:
                        return refusal
                    has_turn = True
                now_us = clock.elapsed_us()
                if now_us >= pause_us:
                    # A request needs several iterations of the loop; pauses of just one would add a stretch to each.
                    await asyncio.sleep((now_us - pause_us + _STRETCH_US) * _PAUSE / MICROSECONDS)
                    if self._turn.closed:
                        return _CLOSED
                    now_us = clock.elapsed_us()
                    if now_us >= deadline_us:
                        return LATE
                    pause_us = now_us + _STRETCH_US
        except StopIteration as done:
            result: Result = done.value
            return result
        finally:
            steps.close()  # free the text of an abandoned message now, not at the next garbage collection
            if has_turn:
                self._turn.give_back()

    def close(self) -> None:
        """Abandon work that runs or waits, and any that is started later."""
        self._turn.close()


class _Waiter:
    """A wait for the turn: the future's result is None once it has come, else the refusal."""

    def __init__(self) -> None:
        self.refusal: asyncio.Future[Unavailable | None] = asyncio.get_running_loop().create_future()

    def answer(self, refusal: Unavailable | None) -> bool:
        """End the wait; return False if it had already ended."""
        if self.refusal.done():
            return False
        self.refusal.set_result(refusal)
        return True

    def overdue(self) -> None:
        """End the wait at its deadline."""
        self.answer(LATE)


class _Turn:
    """The turn of heavy work: one holder at a time."""

    def __init__(self, clock: Clock) -> None:
        self._deadlines: Deadlines[_Waiter] = Deadlines(clock)
        self._waiting: deque[_Waiter] = deque()
        self._taken = self.closed = False

    async def take(self, deadline_us: int) -> Unavailable | None:
        """Wait for the turn; return None once the caller has it. The caller must give it back."""
        if self.closed:
            return _CLOSED
        if not self._taken:
            self._taken = True
            return None
        waiter = _Waiter()
        self._waiting.append(waiter)
        self._deadlines.begin(waiter, deadline_us)
        try:
            return await waiter.refusal
        except asyncio.CancelledError:
            if waiter.refusal.done() and not waiter.refusal.cancelled() and waiter.refusal.result() is None:
                self.give_back()  # it was handed over in the same iteration of the loop
            raise
        finally:
            self._deadlines.end(waiter)
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def give_back(self) -> None:
        """Hand the turn to the next waiter."""
        self._taken = False
        while self._waiting and not self._taken:
            self._taken = self._waiting.popleft().answer(None)

    def close(self) -> None:
        """Refuse all waiters."""
        self.closed = True
        while self._waiting:
            self._waiting.popleft().answer(_CLOSED)
