"""The memory of what was stored: its answers, its bounds, its end."""

import pytest

from app.clock import FakeClock
from app.ingest.dedupe import Claimed, Dedupe, InFlight, Remembered


def memory(clock: FakeClock, max_weight: int = 3) -> Dedupe[str]:
    """Return a memory of 100 seconds."""
    return Dedupe(max_weight=max_weight, max_age_s=100.0, elapsed_us=clock.elapsed_us)


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
    dedupe = memory(FakeClock(), max_weight=2)
    for key in "abc":
        dedupe.claim(key)
        dedupe.settle(key, key, stored=True)
    assert [type(dedupe.claim(key)) for key in "abc"] == [Claimed, Remembered, Remembered]


async def test_heavy_results_take_more_of_the_memory() -> None:
    """What a result holds counts, so that large requests cannot fill it."""
    dedupe = memory(FakeClock(), max_weight=10)
    for key, weight in (("a", 4), ("b", 4), ("c", 4)):
        dedupe.claim(key)
        dedupe.settle(key, key, stored=True, weight=weight)
    assert [type(dedupe.claim(key)) for key in "abc"] == [Claimed, Remembered, Remembered]


async def test_what_is_too_old_is_let_go_without_being_asked_for() -> None:
    """The memory is limited in time, not only in size: an old result is dropped when another is kept."""
    clock = FakeClock()
    dedupe = memory(clock, max_weight=1_000)
    dedupe.claim("old")
    dedupe.settle("old", "old", stored=True)
    await clock.advance(101)
    dedupe.claim("new")
    dedupe.settle("new", "new", stored=True)
    assert list(dedupe._stored) == ["new"]
    assert dedupe._weight == 1


@pytest.mark.parametrize("stored", [False, True], ids=["in flight", "stored"])
async def test_the_digest_of_a_known_key_can_be_asked_for(stored: bool) -> None:  # noqa: FBT001 - a parameter
    """An Idempotency-Key stands for one request, while it is in flight and after, until it is forgotten."""
    clock = FakeClock()
    dedupe = memory(clock)
    assert dedupe.digest("a") is None
    dedupe.claim("a", "one")
    if stored:
        dedupe.settle("a", "stored", stored=True)
    assert dedupe.digest("a") == "one"
    await clock.advance(101)
    assert dedupe.digest("a") == (None if stored else "one")


async def test_every_copy_that_waits_gets_the_result() -> None:
    """However many copies come while the first is stored."""
    dedupe = memory(FakeClock())
    dedupe.claim("a")
    flying = [dedupe.claim("a") for _ in range(3)]
    dedupe.settle("a", "stored", stored=True)
    assert [await each.result for each in flying if isinstance(each, InFlight)] == ["stored"] * 3
