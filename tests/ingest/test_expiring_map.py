"""The memory by key: bounded, the oldest go first, in as many shards as it takes."""

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.dedupe import Memory

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
