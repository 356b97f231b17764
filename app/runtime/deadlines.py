"""Many deadlines on one timer: for waits that nearly always end long before their deadline.

A timer of the event loop costs more than the rest of such a wait, and a push would need two. Here,
beginning and ending a wait is a dictionary entry, and the loop has one timer. It is set for the earliest deadline known
at that time. When it fires, that wait has usually ended, and the timer is set for the earliest remaining deadline.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from app.runtime.circuit_breaker import CircuitBreaker
from app.runtime.clock import MICROSECONDS, Clock


class Overdue(Protocol):
    """Something that waits until a deadline."""

    def overdue(self) -> None:
        """React to the deadline, which has passed."""


_APART_US = 20_000  # between two timer events, each of which checks all waits: `overdue` may come this much late
Waiting = TypeVar("Waiting", bound=Overdue)


class Deadlines(Generic[Waiting]):
    """Calls `overdue` on whatever still waits at its deadline, or up to 20 ms later, within one event loop.

    If the loop was blocked beyond a deadline, the call comes 20 ms after the loop resumes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_us: dict[Waiting, int] = {}
        self._rings_us: int | None = None
        self._was_late = False
        self._cancel: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        """Return the number of waits."""
        return len(self._due_us)

    def begin(self, waiting: Waiting, due_us: int) -> None:
        """Call `waiting.overdue` at `due_us` (the clock's `elapsed_us`), unless the wait ends first."""
        self._due_us[waiting] = due_us
        if self._rings_us is None or due_us < self._rings_us:
            self._ring_at(due_us)

    def end(self, waiting: Waiting) -> None:
        """End the wait, so that `overdue` is not called; do nothing if it was."""
        self._due_us.pop(waiting, None)

    def close(self) -> list[Waiting]:
        """Stop all calls; return whatever still waits."""
        self._cancel()
        waiting, self._due_us, self._rings_us = [*self._due_us], {}, None
        return waiting

    def _ring_at(self, due_us: int) -> None:
        self._cancel()
        now_us = self._clock.elapsed_us()
        self._rings_us = max(due_us, now_us)
        left_s = (self._rings_us - now_us) / MICROSECONDS
        self._cancel = self._clock.call_later(left_s, self._ring).cancel

    def _ring(self) -> None:
        now_us, rang_us = self._clock.elapsed_us(), self._rings_us
        if rang_us is not None and now_us - rang_us > _APART_US and not self._was_late:
            # The loop was blocked. Handle the events that arrived meanwhile first: they were in time.
            self._was_late = True
            self._ring_at(now_us + _APART_US)
            return
        self._was_late, self._rings_us = False, None
        try:
            for waiting in [waiting for waiting, due_us in self._due_us.items() if due_us <= now_us]:
                if self._due_us.pop(waiting, None) is not None:  # else another wait's `overdue` has ended it
                    waiting.overdue()
        finally:
            if self._due_us:
                self._ring_at(max(min(self._due_us.values()), now_us + _APART_US))


class TimeLimit:
    """An `asyncio.timeout` on a shared timer: `with TimeLimit(deadlines, due_us):` raises TimeoutError at its deadline.

    It cancels the task in the meantime; a cancellation for another reason passes on. It is used once.
    """

    __slots__ = ("_cancelled_before", "_deadlines", "_due_us", "_is_overdue", "_task")

    def __init__(self, deadlines: "Deadlines[TimeLimit]", due_us: int) -> None:
        self._deadlines, self._due_us = deadlines, due_us
        self._is_overdue = False

    def __enter__(self) -> None:
        """Begin the wait of this task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit must be used inside a task")
        self._task: asyncio.Task[Any] | None = task
        self._cancelled_before = task.cancelling()
        self._deadlines.begin(self, self._due_us)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """End the wait, and undo the limit's own cancellation, even if the work has swallowed it."""
        self._deadlines.end(self)
        task, self._task = self._task, None  # a traceback of the task may lead here: with the way back, a cycle
        if self._is_overdue and task is not None:
            is_alone = task.uncancel() <= self._cancelled_before
            if is_alone and isinstance(error, asyncio.CancelledError):
                raise TimeoutError from error

    def overdue(self) -> None:
        """Cancel the task."""
        if self._task is not None:
            self._is_overdue = True
            self._task.cancel()


async def first_within(clock: Clock, limit_s: float, *waiting: asyncio.Future[Any]) -> None:
    """Wait until one of `waiting` is done, at most `limit_s` seconds of `clock`. Cancels none of them."""
    timer = asyncio.ensure_future(clock.sleep(limit_s))
    try:
        await asyncio.wait([timer, *waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()


async def set_within(clock: Clock, limit_s: float, event: asyncio.Event) -> bool:
    """Wait for `event`, at most `limit_s` seconds of `clock`; return whether it is set."""
    waiting = asyncio.ensure_future(event.wait())
    try:
        await first_within(clock, limit_s, waiting)
    finally:
        waiting.cancel()
    return event.is_set()


_Reply = TypeVar("_Reply")


class BestEffort:
    """Calls one service, within `deadline_s` seconds each, and skips it for `pause_s` seconds after a failure.

    So a service that hangs delays one request in each pause, not all. `warn` is called with each failure.
    """

    def __init__(self, clock: Clock, *, deadline_s: float, pause_s: float, warn: Callable[[Exception], None]) -> None:
        self._circuit = CircuitBreaker(clock.elapsed_us)
        self._deadline_s, self._pause_s, self._warn = deadline_s, pause_s, warn

    async def call(self, ask: Callable[[], Awaitable[_Reply]]) -> _Reply | None:
        """Return the reply of `ask`; None if it fails, is too slow, or is skipped."""
        if not self._circuit.allows():
            return None
        try:
            async with asyncio.timeout(self._deadline_s):
                reply = await ask()
        except Exception as error:  # whatever the client raises, the request is served
            self._circuit.trip(self._pause_s)
            self._warn(error)
            return None
        self._circuit.close()
        return reply
