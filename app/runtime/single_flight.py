"""Equal work under way is done once: callers with the same key share one task."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextvars import Context
from typing import Any, Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Result = TypeVar("_Result")


class _Flight(Generic[_Result]):
    """A task, and how many callers wait for it."""

    def __init__(self, task: asyncio.Task[_Result]) -> None:
        self.task = task
        self.waiting = 0
        task.add_done_callback(_retrieve)


class SingleFlight(Generic[_Key, _Result]):
    """Runs one task for each key at a time, for one event loop. It is cancelled when its last caller leaves."""

    def __init__(self) -> None:
        self._flights: dict[_Key, _Flight[_Result]] = {}

    def __len__(self) -> int:
        """Return how many tasks are under way."""
        return len(self._flights)

    def __iter__(self) -> Iterator[_Key]:
        """Yield the keys of what is under way."""
        return iter(self._flights)

    async def run(
        self, key: _Key, work: Callable[[], Coroutine[Any, Any, _Result]], context: Context | None = None
    ) -> tuple[_Result, bool]:
        """Return the result of `work`, or of what is under way for an equal key, and whether it was.

        `work` runs in a task of its own, in the first caller's context unless another one is given.

        Raises:
            Exception: what `work` raised.
        """
        flight = self._flights.get(key)
        joins = flight is not None
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(work(), context=context))
        flight.waiting += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            await self._leave(key, flight)
        return flight.task.result(), joins

    async def _leave(self, key: _Key, flight: _Flight[_Result]) -> None:
        """Stop waiting for a flight; cancel it when no caller is left."""
        flight.waiting -= 1
        ended = flight.task.done()
        # From now on an equal key starts a new flight, even while an abandoned one is still ending.
        if (ended or not flight.waiting) and self._flights.get(key) is flight:
            del self._flights[key]
        if not ended and not flight.waiting:
            flight.task.cancel()
            await asyncio.wait([flight.task])


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a flight whose callers have all hung up, so that asyncio does not report it."""
    if not task.cancelled():
        task.exception()
