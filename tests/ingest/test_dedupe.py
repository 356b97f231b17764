"""The memory of what was stored: its answers, its bounds, its end."""

import asyncio

import pytest

from app.clock import FakeClock
from app.ingest.dedupe import Claimed, Conflict, Dedupe, InFlight, Remembered


def memory(clock: FakeClock, max_messages: int = 3) -> Dedupe[str]:
    """Return a memory of 100 seconds."""
    return Dedupe(max_messages=max_messages, max_age_s=100.0, now_us=clock.now_us)


async def test_a_key_is_claimed_once_and_then_remembered() -> None:
    """The first to ask stores it; later ones get its result."""
    dedupe = memory(FakeClock())
    assert dedupe.claim("a") == Claimed()
    flying = dedupe.claim("a")
    assert isinstance(flying, InFlight)
    dedupe.settle("a", "stored", stored=True)
    assert await flying.result == "stored"
    assert dedupe.claim("a") == Remembered("stored")


async def test_a_key_whose_message_was_not_stored_is_free_again() -> None:
    """A failure is told to the copies that waited, and the next delivery tries anew."""
    dedupe = memory(FakeClock())
    dedupe.claim("a")
    flying = dedupe.claim("a")
    dedupe.settle("a", "failed", stored=False)
    assert isinstance(flying, InFlight)
    assert await flying.result == "failed"
    assert dedupe.claim("a") == Claimed()


async def test_memory_ends_with_age() -> None:
    """Beyond the look-back a copy is new, as it is for readers."""
    clock = FakeClock()
    dedupe = memory(clock)
    dedupe.claim("a")
    dedupe.settle("a", "stored", stored=True)
    await clock.advance(99)
    assert dedupe.claim("a") == Remembered("stored")
    await clock.advance(2)
    assert dedupe.claim("a") == Claimed()


async def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    """It never holds more than it may."""
    dedupe = memory(FakeClock(), max_messages=2)
    for key in "abc":
        dedupe.claim(key)
        dedupe.settle(key, key, stored=True)
    assert [type(dedupe.claim(key)) for key in "abc"] == [Claimed, Remembered, Remembered]


@pytest.mark.parametrize("stored", [False, True], ids=["in flight", "stored"])
async def test_the_same_key_with_another_digest_is_a_conflict(stored: bool) -> None:  # noqa: FBT001 - a parameter
    """An Idempotency-Key stands for one body, while it is in flight and after."""
    dedupe = memory(FakeClock())
    dedupe.claim("a", "one")
    if stored:
        dedupe.settle("a", "stored", stored=True)
    assert dedupe.claim("a", "two") == Conflict()
    assert not isinstance(dedupe.claim("a", "one"), Conflict)


async def test_a_waiter_that_gives_up_takes_nobody_with_it() -> None:
    """A cancelled copy leaves the message's result to the others."""
    dedupe = memory(FakeClock())
    dedupe.claim("a")
    flying = dedupe.claim("a")
    assert isinstance(flying, InFlight)

    async def wait() -> str:
        return await asyncio.shield(flying.result)

    leaving, staying = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    dedupe.settle("a", "stored", stored=True)
    assert await staying == "stored"
