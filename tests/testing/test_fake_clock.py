"""Time that passes on a fake clock lets everything run that can, and takes no longer than that."""

import asyncio

from sluice.testing.clock import FakeClock, settled


async def test_a_chain_of_awaits_is_through_when_its_time_has_passed() -> None:
    """Each link is a turn of the loop, and sleepers on the way wake at their own times."""
    clock, seen = FakeClock(), list[int]()

    async def link(depth: int) -> None:
        if depth:
            await asyncio.create_task(link(depth - 1))
        else:
            await clock.sleep(1)
            await clock.sleep(1)
        seen.append(clock.elapsed_us())

    running = asyncio.create_task(link(20))
    await clock.advance(3)
    assert running.done()
    assert seen == [2_000_000] * 21


async def test_it_ends_when_nothing_is_ready() -> None:
    """After two idle turns, however many are allowed; a task that never rests gets those and no more."""
    turns = 0

    async def restless() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(restless())
    await settled(30)
    assert 29 <= turns <= 31
    running.cancel()
    await settled()
    assert running.done()
    begun, loop = 0, asyncio.get_running_loop()
    original = loop.call_soon

    def counted(*arguments: object, **named: object) -> object:
        nonlocal begun
        begun += 1
        return original(*arguments, **named)  # type: ignore[arg-type]

    loop.call_soon = counted  # type: ignore[method-assign, assignment]
    await settled(1_000)
    assert 0 < begun < 10
