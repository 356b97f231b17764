"""The memory of what was stored: its answers, its bounds, its end."""

import pytest

from app.ingest.dedupe import Dedupe, InFlight, New, Seen
from testing.clock import FakeClock


def memory(clock: FakeClock, max_weight: int = 3) -> Dedupe[str]:
    """Return a memory of 100 seconds."""
    return Dedupe(max_weight=max_weight, max_age_s=100.0, elapsed_us=clock.elapsed_us)


@pytest.mark.parametrize(("stored", "then"), [(True, Seen("result")), (False, New())], ids=["stored", "failed"])
async def test_a_key_is_claimed_once_until_its_result_is_known(*, stored: bool, then: Seen[str] | New) -> None:
    """Copies that wait get the result; a later one gets it too, or tries again after a failure."""
    dedupe = memory(FakeClock())
    assert dedupe.claim("a") == New()
    flying = dedupe.claim("a")
    assert isinstance(flying, InFlight)
    dedupe.settle("a", "result", stored=stored)
    assert await flying.result == "result"
    assert dedupe.claim("a") == then


async def test_memory_ends_with_age() -> None:
    """Beyond the look-back a copy is new, as it is for readers."""
    clock = FakeClock()
    dedupe = memory(clock)
    dedupe.claim("a")
    dedupe.settle("a", "stored", stored=True)
    await clock.advance(100)
    assert dedupe.claim("a") == Seen("stored")
    await clock.advance(0.000_001)
    assert dedupe.claim("a") == New()


async def test_messages_stored_together_share_one_entry() -> None:
    """An entry for each of a million keys would cost more memory than the keys."""
    clock = FakeClock()
    dedupe, stored = memory(clock, max_weight=1_000), "stored"
    begun_us = clock.elapsed_us()
    for key in "abc":
        await clock.advance(0.003)
        dedupe.claim(key)
        dedupe.settle(key, stored, stored=True)
    entries = [dedupe._stored.get(key) for key in "abc"]
    assert entries == [entries[0]] * 3
    assert len({id(entry) for entry in entries}) == 1
    assert entries[0] is not None
    assert entries[0].at_us == begun_us


@pytest.mark.parametrize(("max_weight", "weights"), [(2, [{}] * 3), (10, [{"weight": 4}] * 3)], ids=["light", "heavy"])
async def test_memory_is_bounded_and_forgets_the_oldest(max_weight: int, weights: list[dict[str, int]]) -> None:
    """What a result holds counts, so that large requests cannot fill it; a result weighs 1 by default."""
    dedupe = memory(FakeClock(), max_weight=max_weight)
    for key, weight in zip("abc", weights, strict=True):
        dedupe.claim(key)
        dedupe.settle(key, key, stored=True, **weight)
    assert [type(dedupe.claim(key)) for key in "abc"] == [New, Seen, Seen]


async def test_what_is_too_old_is_let_go_without_being_asked_for() -> None:
    """The memory is limited in time, not only in size: an old result is dropped when another is kept."""
    clock = FakeClock()
    dedupe = memory(clock, max_weight=1_000)
    dedupe.claim("old")
    dedupe.settle("old", "old", stored=True)
    await clock.advance(101)
    dedupe.claim("new")
    dedupe.settle("new", "new", stored=True)
    assert (len(dedupe._stored), dedupe._stored.weight) == (1, 1)


async def test_what_is_too_old_is_let_go_in_time_though_not_at_every_turn() -> None:
    """To look costs more than to remember: what has expired is gone within a part of the age, and answers nobody."""
    clock = FakeClock()
    dedupe = memory(clock, max_weight=1_000)
    most = 0
    for number in range(300):
        dedupe.claim(str(number))
        dedupe.settle(str(number), "stored", stored=True)
        most = max(most, len(dedupe._stored))
        await clock.advance(1)
    assert 101 <= most <= 104
    assert dedupe._stored.weight == len(dedupe._stored)
    assert dedupe.claim("198") == New()


async def test_a_key_whose_memory_has_expired_is_stored_anew_and_counted_once() -> None:
    """Whether or not the old memory was let go by then; it is the youngest again."""
    clock = FakeClock()
    dedupe = memory(clock, max_weight=1_000)
    for key in ("a", "b"):
        dedupe.claim(key)
        dedupe.settle(key, "old", stored=True, weight=5)
    await clock.advance(99.5)
    dedupe.claim("c")  # which looks for what has expired, before anything has
    dedupe.settle("c", "c", stored=True)
    await clock.advance(1)
    assert dedupe.claim("a") == New()
    dedupe.settle("a", "failed", stored=False)
    assert dedupe.claim("a") == New()
    dedupe.settle("a", "new", stored=True, weight=3)
    assert dedupe.claim("a") == Seen("new")
    assert len(dedupe._stored) == 3
    assert dedupe._stored.weight == 5 + 1 + 3


@pytest.mark.parametrize("stored", [False, True], ids=["in flight", "stored"])
async def test_the_digest_of_a_known_key_can_be_asked_for(stored: bool) -> None:  # noqa: FBT001 - a parameter
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


async def test_every_copy_that_waits_gets_the_result() -> None:
    """However many copies come while the first is stored."""
    dedupe = memory(FakeClock())
    dedupe.claim("a")
    flying = [dedupe.claim("a") for _ in range(3)]
    dedupe.settle("a", "stored", stored=True)
    assert [await each.result for each in flying if isinstance(each, InFlight)] == ["stored"] * 3


async def test_one_result_of_several_keys_has_the_digest_of_each() -> None:
    """What is remembered of them together is what is the same for them."""
    dedupe, result = memory(FakeClock(), max_weight=10), "stored"
    for key, digests in (("a", ["one"]), ("b", []), ("c", ["two"]), ("d", ["two"])):
        dedupe.claim(key, *digests)
        dedupe.settle(key, result, stored=True)
    assert [dedupe.digest(key) for key in "abcd"] == ["one", "", "two", "two"]
