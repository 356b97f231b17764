"""The memory of what was stored: its answers, its bounds, its end."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.write.dedupe import Dedupe
from sluice.testing.clock import FakeClock


def memory(clock: FakeClock, max_weight: int = 1_000) -> Dedupe[str]:
    """Return a memory of 100 seconds."""
    return Dedupe(max_weight=max_weight, max_age_s=100.0, elapsed_us=clock.elapsed_us)


def store(dedupe: Dedupe[str], key: str, result: str = "stored", digest: str = "", weight: int = 1) -> None:
    """Store the message of `key`."""
    dedupe.claim(key, digest)
    dedupe.settle(key, result, stored=True, weight=weight)


@pytest.mark.parametrize(("stored", "then"), [(True, "result"), (False, None)], ids=["stored", "failed"])
async def test_a_key_is_claimed_once_until_its_result_is_known(*, stored: bool, then: str | None) -> None:
    """All copies that wait get the result; a later one gets it too, or tries again after a failure."""
    dedupe = memory(FakeClock())
    assert dedupe.claim("a") is None
    flying = [dedupe.claim("a") for _ in range(2)]
    dedupe.settle("a", "result", stored=stored)
    assert [await each for each in flying if isinstance(each, asyncio.Future)] == ["result"] * 2
    assert dedupe.claim("a") == then


@given(
    stored_s=st.lists(st.floats(0, 300), min_size=1, max_size=30).map(sorted),
    weights=st.lists(st.integers(1, 9), min_size=30, max_size=30),
)
async def test_a_copy_is_known_for_three_quarters_of_the_age_and_no_longer_than_it(
    stored_s: list[float], weights: list[int]
) -> None:
    """However the messages come; and for as long as no more than three quarters of the weight came after it."""
    clock = FakeClock()
    dedupe = memory(clock, max_weight=80)
    for number, at_s in enumerate(stored_s):
        await clock.advance(at_s - clock.elapsed_us() / 1e6)
        store(dedupe, str(number), weight=weights[number])
    now_s = clock.elapsed_us() / 1e6
    for number, at_s in enumerate(stored_s):
        known, newer = dedupe.digest(str(number)) is not None, sum(weights[number : len(stored_s)])
        if now_s - at_s > 100.1:
            assert not known
        elif now_s - at_s < 74.9 and newer <= 60:
            assert known
    assert sum(len(each.stored) for each in dedupe._generations) <= 4 * (20 + 9)


@pytest.mark.parametrize(
    ("max_weight", "weights", "known"),
    [(8, {}, range(14, 20)), (8, {"weight": 4}, range(17, 20)), (3, {}, range(17, 20))],
)
async def test_memory_is_bounded_and_forgets_its_oldest_quarter(
    max_weight: int, weights: dict[str, int], known: range
) -> None:
    """What a result holds counts, so that large requests cannot fill it; a result weighs 1 by default."""
    dedupe = memory(FakeClock(), max_weight)
    for number in range(20):
        dedupe.claim(str(number))
        dedupe.settle(str(number), "stored", stored=True, **weights)
    assert [number for number in range(20) if dedupe.digest(str(number)) == ""] == [*known]
    assert len(dedupe._generations) == 4


async def test_memory_ends_with_age() -> None:
    """Beyond the look-back a copy is new, as it is for readers."""
    clock = FakeClock()
    dedupe = memory(clock)
    store(dedupe, "a")
    await clock.advance(100)
    assert dedupe.claim("a") == "stored"
    await clock.advance(0.000_001)
    assert dedupe.claim("a") is None


@pytest.mark.parametrize("stored", [False, True], ids=["in flight", "stored"])
async def test_the_digest_of_a_known_key_can_be_asked_for(*, stored: bool) -> None:
    """An Idempotency-Key stands for one request, while it is in flight and after, until it is forgotten."""
    clock = FakeClock()
    dedupe = memory(clock)
    assert dedupe.digest("a") is None
    dedupe.claim("a", "one")
    dedupe.claim("a", "another")
    if stored:
        dedupe.settle("a", "stored", stored=True)
    assert dedupe.digest("a") == "one"
    await clock.advance(101)
    assert dedupe.digest("a") == (None if stored else "one")


async def test_one_result_of_several_keys_has_the_digest_of_each() -> None:
    """What is the same for keys that were stored one after the other is kept once."""
    dedupe = memory(FakeClock())
    for key, digest in (("a", "one"), ("b", ""), ("c", "two"), ("d", "two")):
        store(dedupe, key, digest=digest)
    store(dedupe, "e", "other", digest="two")
    assert [dedupe.digest(key) for key in "abcde"] == ["one", "", "two", "two", "two"]
    assert [dedupe.claim(key) for key in "de"] == ["stored", "other"]
    kept = dedupe._newest.stored
    assert kept["c"] is kept["d"]
