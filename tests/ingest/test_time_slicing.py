"""Long work in short stretches: pauses, deadlines, memory, and one heavy message at a time."""

import asyncio
from collections.abc import Generator
from itertools import pairwise

import pytest

from app.ingest.decode.weight import Steps
from app.ingest.time_slicing import HEAVY_BYTES, CooperativeRunner
from app.ingest.verdict import Throttled, Unavailable
from app.runtime.clock import SystemClock
from app.runtime.ledger import Ledger
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns

_LATER_US = 10**9


class TickingClock(FakeClock):
    """A clock on which each look takes a millisecond."""

    def elapsed_us(self) -> int:
        """Return the time, and let it pass."""
        self._elapsed_us += 1_000
        return self._elapsed_us


def work(count: int, size: int = 0, seen: list[int] | None = None) -> Steps[str]:
    """Work in `count` steps that hold `size` bytes each; note each in `seen`."""
    for number in range(count):
        if seen is not None:
            seen.append(number)
        yield size
    return "done"


async def test_the_loop_goes_on_between_the_steps() -> None:
    """Others have their turn after every ten milliseconds of steps, and not before."""
    noted, turns_at = list[int](), list[int]()

    async def beside() -> None:
        while True:
            turns_at.append(len(noted))
            await asyncio.sleep(0)

    other = asyncio.ensure_future(beside())
    assert await CooperativeRunner(TickingClock()).run(work(1_000, seen=noted), _LATER_US) == "done"
    other.cancel()
    stretches = [after - before for before, after in pairwise(turns_at)]
    assert max(stretches) <= 10
    assert len(stretches) >= 90


async def test_short_work_does_not_pause() -> None:
    """Nothing else runs before it is done."""
    running = CooperativeRunner(FakeClock()).run(work(1_000), _LATER_US)
    with pytest.raises(StopIteration) as done:
        running.send(None)
    assert done.value.value == "done"


async def test_work_that_takes_longer_than_its_budget_is_given_up() -> None:
    """Its message is unavailable, the steps are not finished, and nothing is kept of them."""
    noted = list[int]()
    closed = asyncio.Event()

    def endless() -> Generator[int, None, None]:
        try:
            yield from work(10**9, seen=noted)
        finally:
            closed.set()

    told = await CooperativeRunner(TickingClock()).run(endless(), 100_000)
    assert isinstance(told, Unavailable)
    assert len(noted) < 100
    assert closed.is_set()


async def test_what_does_not_fit_is_throttled_as_soon_as_it_does_not() -> None:
    """The bytes are charged as they come to be held."""
    ledger, noted = Ledger(max_bytes=1_000), list[int]()
    holding, other = ledger.open("a"), ledger.open("b")
    assert holding is not None
    assert other is not None
    told = await CooperativeRunner(FakeClock()).run(work(100, 100, noted), _LATER_US, holding)
    assert isinstance(told, Throttled)
    assert (len(noted), holding.size) == (8, 700)  # a caller has three quarters at most


async def test_one_heavy_message_at_a_time() -> None:
    """Light ones pass it by."""
    runner, most, in_flight = CooperativeRunner(TickingClock()), 0, 0

    def heavy() -> Steps[str]:
        nonlocal most, in_flight
        yield HEAVY_BYTES + 1
        in_flight += 1
        most = max(most, in_flight)
        yield from work(100)
        in_flight -= 1
        return "heavy"

    running = [asyncio.ensure_future(runner.run(heavy(), _LATER_US)) for _ in range(5)]
    await turns(2)
    assert await runner.run(work(100), _LATER_US) == "done"
    assert not all(each.done() for each in running)
    assert await asyncio.gather(*running) == ["heavy"] * 5
    assert most == 1


async def test_a_large_body_counts_before_anything_is_made_of_it() -> None:
    """What was held before makes the work heavy as well."""
    clock = FakeClock()
    runner = CooperativeRunner(clock)
    assert await runner._turn.take(_LATER_US) is None
    waiting = asyncio.ensure_future(runner.run(work(3), 1_000_000, size=HEAVY_BYTES + 1))
    await turns()
    assert not waiting.done()
    await clock.advance(1.1)
    assert isinstance(await waiting, Unavailable)  # its budget was spent on waiting
    runner._turn.give_back()
    assert await runner.run(work(3), 10_000_000, size=HEAVY_BYTES + 1) == "done"


@pytest.mark.parametrize("when", ["waiting", "given"])
async def test_one_who_is_cancelled_does_not_keep_the_turn(when: str) -> None:
    """Neither while it waits, nor when the turn has become its own and it does not know yet."""
    runner = CooperativeRunner(FakeClock())
    assert await runner._turn.take(_LATER_US) is None
    first, second = (asyncio.ensure_future(runner._turn.take(_LATER_US)) for _ in range(2))
    await turns()
    if when == "given":
        runner._turn.give_back()
    first.cancel()
    await turns()
    if when == "waiting":
        runner._turn.give_back()
    await turns()
    assert first.cancelled()
    assert await second is None


async def test_the_end_gives_up_what_waits_and_what_runs() -> None:
    """A process that ends waits for no heavy message."""
    runner = CooperativeRunner(TickingClock())
    running = asyncio.ensure_future(runner.run(work(10**9, HEAVY_BYTES + 1), 10**12))
    waiting = asyncio.ensure_future(runner.run(work(10**9, HEAVY_BYTES + 1), 10**12))
    await turns()
    runner.close()
    assert [type(told) for told in await asyncio.gather(running, waiting)] == [Unavailable, Unavailable]
    assert isinstance(await runner.run(work(1, HEAVY_BYTES + 1), 10**12), Unavailable)


async def test_neighbours_have_many_turns_between_two_stretches() -> None:
    """A request takes several turns of the loop, and is not to wait for a stretch at each of them."""
    stretches, clock = 5, SystemClock()

    def busy() -> Steps[None]:
        for _ in range(stretches):
            until_us = clock.elapsed_us() + 11_000
            while clock.elapsed_us() < until_us:
                pass
            yield 0

    turns_taken = 0

    async def neighbour() -> None:
        nonlocal turns_taken
        while True:
            turns_taken += 1
            await asyncio.sleep(0)

    beside = asyncio.ensure_future(neighbour())
    await CooperativeRunner(clock).run(busy(), clock.elapsed_us() + 60_000_000)
    beside.cancel()
    assert turns_taken > 5 * stretches
