"""The memory that answers are kept in: never more than it may hold, and the right ones."""

from collections import OrderedDict

from hypothesis import example, given
from hypothesis import strategies as st

from app.query.answer.cache import ENTRY_BYTES, KEY_BYTES, BoundedMemoryStore
from sluice.testing.clock import FakeClock

_LEAST = ENTRY_BYTES + KEY_BYTES  # what an entry counts, besides its value
_ROOM = 5 * _LEAST
_KEYS = st.sampled_from("abcdefgh")
_STEPS = st.lists(
    st.tuples(st.just("set"), _KEYS, st.integers(0, 2 * _LEAST) | st.just(_ROOM), st.integers(0, 9))
    | st.tuples(st.sampled_from(["get", "wait"]), _KEYS, st.integers(1, 9), st.just(0)),
    max_size=60,
)


_EXPIRES_IN_1_S = [("set", "b", 0, 1), ("get", "b", 1, 0), ("wait", "b", 1, 0)]


@given(steps=_STEPS)
@example(steps=[("set", "a", 1, 9), ("set", "b", 2, 9), ("set", "a", _ROOM, 9), ("get", "a", 1, 0)])
@example(steps=[("set", "a", 1, 9), ("set", "b", 2, 9), ("set", "a", 1, 0), ("get", "a", 1, 0)])
@example(steps=[*(("set", key, 0, 9) for key in "acde"), *_EXPIRES_IN_1_S, ("set", "f", 0, 1)])
async def test_the_memory_holds_what_was_used_last_and_never_too_much(steps: list[tuple[str, str, int, int]]) -> None:
    """As a plain list of what is alive says, from which the least recently used goes until there is room.

    A value that is too large or has expired is not kept, nor is the older one of its key.
    """
    clock = FakeClock()
    store = BoundedMemoryStore(_ROOM, clock)
    expected: OrderedDict[str, tuple[bytes, int]] = OrderedDict()
    for step, key, number, expires_s in steps:
        now_us = clock.elapsed_us()
        if step == "set":
            value = b"." * number
            await store.set(key, value, expires_s)
            expected.pop(key, None)
            if number < _ROOM and expires_s:
                expected[key] = (value, now_us + expires_s * 1_000_000)
            while sum(_LEAST + len(held) for held, _ in expected.values()) > _ROOM:
                expected.popitem(last=False)
        elif step == "get":
            found = await store.get(key)
            assert found == (expected[key][0] if key in expected else None)
            if found is not None:
                expected.move_to_end(key)
        else:
            await clock.advance(number)
        now_us = clock.elapsed_us()
        for name in [name for name, (_, due_us) in expected.items() if due_us <= now_us]:
            del expected[name]
        store._entries.expire()
        assert set(store._entries) == set(expected)
        assert store._entries.currsize == sum(_LEAST + len(held) for held, _ in expected.values()) <= _ROOM
