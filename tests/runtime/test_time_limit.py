"""A task's time limit: whose cancellation it was, and that nothing is left of it."""

import asyncio
import gc
import weakref

import pytest

from app.runtime.clock import MICROSECONDS
from app.runtime.deadlines import Deadlines, TimeLimit
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns


class Scene:
    """A task that waits for ever within a second, and what it says of its end."""

    def __init__(self, *, swallows: bool = False) -> None:
        self.clock, self._swallows = FakeClock(), swallows
        self.deadlines: Deadlines[TimeLimit] = Deadlines(self.clock)
        self.exceeded = False
        self.left = -1
        self.task = asyncio.create_task(self.work())

    async def work(self) -> str:
        try:
            with TimeLimit(self.deadlines, MICROSECONDS):
                await self._wait()
        except TimeoutError:
            self.exceeded = True
        current = asyncio.current_task()
        self.left = -1 if current is None else current.cancelling()
        return "too late"

    async def _wait(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if not self._swallows:
                raise


@pytest.mark.parametrize("swallows", [False, True])
async def test_a_task_that_takes_too_long_is_cancelled_once_and_goes_on(swallows: bool) -> None:  # noqa: FBT001 - a case
    """Nothing of the cancellation is left, even if the work swallows it: then it is not late either."""
    scene = Scene(swallows=swallows)
    await scene.clock.advance(1)
    assert await scene.task == "too late"
    assert (scene.exceeded, scene.left, len(scene.deadlines)) == (not swallows, 0, 0)


async def test_somebody_elses_cancellation_is_not_taken_for_it() -> None:
    """It ends the task, before the deadline and at it."""
    before, at = Scene(), Scene()
    await turns()
    before.task.cancel()
    await asyncio.wait([before.task])
    assert (before.task.cancelled(), before.exceeded) == (True, False)
    next(iter(at.deadlines._due_us)).overdue()
    at.task.cancel()
    await asyncio.wait([at.task])
    assert (at.task.cancelled(), at.exceeded) == (True, False)


async def wait(deadlines: Deadlines[TimeLimit]) -> None:
    """Wait for ever, within a second."""
    with TimeLimit(deadlines, MICROSECONDS):
        await asyncio.get_running_loop().create_future()


async def test_a_task_that_ended_is_not_held() -> None:
    """Its last traceback leads to the limit: with the way back, both would stay until the collector comes."""
    task = asyncio.create_task(wait(Deadlines(FakeClock())))
    await turns()
    gc.disable()
    try:
        task.cancel()
        await asyncio.wait([task])
        ended = weakref.ref(task)
        del task
        assert ended() is None
    finally:
        gc.enable()
