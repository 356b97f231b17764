"""Time that passes on a fake clock lets everything run that can, and takes no longer than that."""

import asyncio

from sluice.testing.clock import FakeClock


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
