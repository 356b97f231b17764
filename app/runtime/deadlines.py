"""Many deadlines on one timer: for waits that nearly always end long before.

A timer of the event loop costs more than the rest of such a wait, and a push would need two (bench/README.md). Here
beginning and ending a wait is an entry in a dictionary, and the loop has one timer, for the earliest deadline there was
when it was set; that entry is gone as a rule when it rings, and it is set again for the earliest one there is then.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from app.runtime.clock import MICROSECONDS, Clock


class Overdue(Protocol):
    """What waits until a deadline."""

    def overdue(self) -> None:
        """Take note that the deadline has come."""
        ...


_APART_US = 20_000  # rings, each of which looks at all that wait: so much later may some be told
Waiting = TypeVar("Waiting", bound=Overdue)


class Deadlines(Generic[Waiting]):
    """Tells what is still waiting at its deadline, or up to 20 ms after. For the waits of one event loop.

    Where the loop was held up beyond a deadline, it is told 20 ms after that, and only then.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_us: dict[Waiting, int] = {}
        self._rings_us: int | None = None
        self._was_late = False
        self._cancel: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._due_us)

    def begin(self, waiting: Waiting, due_us: int) -> None:
        """Tell `waiting` at `due_us` (the clock's `elapsed_us`), unless it ends before."""
        self._due_us[waiting] = due_us
        if self._rings_us is None or due_us < self._rings_us:
            self._ring_at(due_us)

    def end(self, waiting: Waiting) -> None:
        """Tell `waiting` nothing any more; nor anything where it was told."""
        self._due_us.pop(waiting, None)

    def close(self) -> list[Waiting]:
        """Tell nobody any more; return those that still wait."""
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
            # The loop was held up, and what has come meanwhile is still to be heard: it was in time.
            self._was_late = True
            self._ring_at(now_us + _APART_US)
            return
        self._was_late, self._rings_us = False, None
        try:
            for waiting in [waiting for waiting, due_us in self._due_us.items() if due_us <= now_us]:
                if self._due_us.pop(waiting, None) is not None:  # else another one's `overdue` has ended it
                    waiting.overdue()
        finally:
            if self._due_us:
                self._ring_at(max(min(self._due_us.values()), now_us + _APART_US))


class TimeLimit:
    """Cancels the task that made it when its deadline has come: what `asyncio.timeout` does, on a timer for many.

    deadlines.begin(limit := TimeLimit(), due_us)
    try:
        …
    except asyncio.CancelledError:
        if not limit.exceeded(): raise      # somebody else has cancelled the task
    finally:
        deadlines.end(limit)
    """

    __slots__ = ("_cancelled_before", "_is_overdue", "_task")

    def __init__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit is a task's")
        self._task: asyncio.Task[Any] | None = task
        self._is_overdue, self._cancelled_before = False, task.cancelling()

    def overdue(self) -> None:
        """Cancel the task."""
        if self._task is not None:
            self._is_overdue = True
            self._task.cancel()

    def exceeded(self) -> bool:
        """Return whether the cancellation that the task has met is this one, and nobody else's; it is taken back.

        To be asked at the end: the task is let go, as its traceback may lead here, and asked again it is False.
        """
        task, self._task = self._task, None
        return self._is_overdue and task is not None and task.uncancel() <= self._cancelled_before
