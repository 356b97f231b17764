"""The memory of what was stored: its answers, its bounds, its shards, its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.dedupe import Dedupe, InFlight, Memory, New, Seen
from sluice.testing.clock import FakeClock


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


PUTS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 5)), max_size=60)


@given(PUTS, st.integers(1, 20))
def test_one_shard_forgets_as_a_list_would(puts: list[tuple[str, int]], max_weight: int) -> None:
    """The oldest first, until the rest may stay; the newest stays in any case."""
    memory: Memory[int] = Memory(max_weight)
    model: dict[str, int] = {}
    for number, (key, weight) in enumerate(puts):
        memory.put(key, number, number, weight)
        model.pop(key, None)
        model[key] = weight
        while sum(model.values()) > max_weight and len(model) > 1:
            del model[next(iter(model))]
        assert {each for each in "abcdefgh" if memory.get(each) is not None} == set(model)
        assert (len(memory), memory.weight) == (len(model), sum(model.values()))


def test_a_large_memory_holds_nearly_as_much_as_it_may_and_never_more() -> None:
    """However the keys fall into its shards."""
    memory: Memory[None] = Memory(200_000)
    for number in range(260_000):
        memory.put(f"{number}:1769860800000000", None, number, 1)
    assert 190_000 < len(memory) == memory.weight <= 200_000
    assert memory.get("259999:1769860800000000") is not None
    assert memory.get("0:1769860800000000") is None


def test_a_long_result_is_remembered_beside_others() -> None:
    """A request of as many records as a message may hold is known when it comes again."""
    memory: Memory[str] = Memory(200_000)
    for number in range(1_000):
        memory.put(str(number), "short", number, 1)
    memory.put("long", "long", 1_000, 20_001)
    found = memory.get("long")
    assert found is not None
    assert found.value == "long"
    assert len(memory) == 1_001


@given(PUTS, st.integers(0, 60))
def test_what_is_too_old_is_forgotten_and_nothing_else(puts: list[tuple[str, int]], since: int) -> None:
    """By when it was put there last."""
    memory: Memory[int] = Memory(100_000)
    last = {key: number for number, (key, _) in enumerate(puts)}
    for number, (key, weight) in enumerate(puts):
        memory.put(key, number, number, weight)
    memory.forget_before(since)
    for key, number in last.items():
        entry = memory.get(key)
        assert (entry is not None) == (number >= since)
        assert entry is None or entry.at_us == number


def test_keys_of_one_moment_and_one_value_share_what_is_remembered() -> None:
    """And are counted and forgotten each by itself."""
    memory: Memory[list[str]] = Memory(3)
    value = ["stored"]
    for key, at_us, weight in (("a", 1, 1), ("b", 1, 1), ("c", 2, 1)):
        memory.put(key, value, at_us, weight)
    first, second, third = (memory.get(key) for key in "abc")
    assert first is second
    assert second is not third
    memory.put("d", value, 2, 1)
    assert [memory.get(key) is not None for key in "abcd"] == [False, True, True, True]
    assert (len(memory), memory.weight) == (3, 3)
