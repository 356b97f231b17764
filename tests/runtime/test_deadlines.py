"""Many deadlines on one timer: each wait is told at its time, and nothing stays behind."""

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.runtime.clock import MICROSECONDS
from app.runtime.deadlines import Deadlines
from sluice.testing.clock import FakeClock
from tests.long_form import examples


class Wait:
    """A wait that notes when it was told."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.told_s: list[float] = []

    def overdue(self) -> None:
        self.told_s.append(self._clock.elapsed_us() / MICROSECONDS)


class Scene:
    """Deadlines on a clock, and what was told."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.deadlines: Deadlines[Wait] = Deadlines(self.clock)

    def begin(self, due_s: float) -> Wait:
        """Begin a wait that is due at `due_s`."""
        waiting = Wait(self.clock)
        self.deadlines.begin(waiting, round(due_s * MICROSECONDS))
        return waiting


async def test_close_returns_those_that_wait_and_tells_nobody() -> None:
    """They are the caller's to tell; what begins later has its deadline again."""
    scene = Scene()
    told, ended, *open_waits = scene.begin(5), scene.begin(10), scene.begin(10), scene.begin(20)
    await scene.clock.advance(6)
    scene.deadlines.end(ended)
    assert scene.deadlines.close() == open_waits
    assert (len(scene.deadlines), scene.deadlines.close()) == (0, [])
    await scene.clock.advance(100)
    assert [each.told_s for each in (told, ended, *open_waits)] == [[5.0], [], [], []]
    later = scene.begin(120)
    await scene.clock.advance(100)
    assert later.told_s == [120.0]


_STEPS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.none() | st.integers(0, 60)), max_size=20)


@settings(max_examples=examples(60), deadline=None)
@given(_STEPS)
@example([(0, 30, None), (0, 20, None), (0, 10, None)])  # the last one is due first
@example([(0, 10, 5), (0, 25, None)])  # the timer was set for one that has ended
def test_every_wait_is_told_at_its_deadline_or_ends_before(steps: list[tuple[int, int, int | None]]) -> None:
    """Whatever begins and ends when: after so many seconds each begins, due in so many, ended after so many."""

    async def played() -> None:
        scene, expected = Scene(), list[tuple[Wait, list[float]]]()
        for gap_s, due_in_s, ends_after_s in steps:
            await scene.clock.advance(gap_s)
            now_s = scene.clock.elapsed_us() / MICROSECONDS
            waiting = scene.begin(now_s + due_in_s)
            ends = ends_after_s is not None and ends_after_s < due_in_s
            expected.append((waiting, [] if ends else [now_s + due_in_s]))
            if ends and ends_after_s is not None:
                scene.clock.call_later(ends_after_s, lambda waiting=waiting: scene.deadlines.end(waiting))  # type: ignore[misc]
        await scene.clock.advance(200)
        for each, due_s in expected:
            assert each.told_s == due_s
            scene.deadlines.end(each)  # again, or after it was told
        assert len(scene.deadlines) == 0

    asyncio.run(played())


class HeldUp(FakeClock):
    """A clock of a loop that is held up: timers ring later than they should."""

    held_up_s = 0.0

    def elapsed_us(self) -> int:
        """Return how far the clock was advanced, and what the loop was held up for."""
        return super().elapsed_us() + round(self.held_up_s * MICROSECONDS)


async def test_what_has_come_while_the_loop_was_held_up_is_heard_before_anybody_is_told() -> None:
    """An answer that was there in time counts; who still waits is told a little later, held up or not."""
    clock = HeldUp()
    deadlines: Deadlines[Wait] = Deadlines(clock)
    answered, waiting = Wait(clock), Wait(clock)
    for wait in (answered, waiting):
        deadlines.begin(wait, 10 * MICROSECONDS)
    await clock.advance(9)
    clock.held_up_s = 5.0
    await clock.advance(1)
    assert answered.told_s == []
    deadlines.end(answered)
    clock.held_up_s = 9.0
    await clock.advance(0.02)
    assert (answered.told_s, len(waiting.told_s)) == ([], 1)
