"""The memory that answers are kept in: never more than it may hold, and the right ones."""

from collections import OrderedDict
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.read.cache import ENTRY_BYTES, BoundedMemoryStore
from sluice.testing.clock import FakeClock

_ROOM = 5 * ENTRY_BYTES
_STEPS = st.lists(
    st.tuples(
        st.just("set"), st.sampled_from("abcdefgh"), st.integers(0, 2 * ENTRY_BYTES), st.none() | st.integers(1, 9)
    )
    | st.tuples(st.sampled_from(["get", "delete", "wait"]), st.sampled_from("abcdefgh"), st.integers(1, 9), st.none()),
    max_size=60,
)


def size(key: str, value: bytes) -> int:
    """Return what an entry counts."""
    return ENTRY_BYTES + len(key) + len(value)


@given(steps=_STEPS)
async def test_the_memory_holds_what_was_used_last_and_never_too_much(
    steps: list[tuple[str, str, int, int | None]],
) -> None:
    """As a plain list of what is alive says, from which the least recently used goes until there is room."""
    clock = FakeClock()
    store = BoundedMemoryStore(_ROOM, clock)
    expected: OrderedDict[str, tuple[bytes, int | None]] = OrderedDict()
    for step, key, number, expires_s in steps:
        now_us = clock.elapsed_us()
        if step == "set":
            value = b"." * number
            await store.set(key, value, expires_in=expires_s)
            expected.pop(key, None)
            expected[key] = (value, None if expires_s is None else now_us + expires_s * 1_000_000)
            while sum(size(name, held) for name, (held, _) in expected.items()) > _ROOM:
                expected.popitem(last=False)
        elif step == "get":
            found = await store.get(key)
            assert found == (expected[key][0] if key in expected else None)
            if found is not None:
                expected.move_to_end(key)
        elif step == "delete":
            await store.delete(key)
            expected.pop(key, None)
        else:
            await clock.advance(number)
        now_us = clock.elapsed_us()
        for name in [name for name, (_, due_us) in expected.items() if due_us is not None and due_us <= now_us]:
            del expected[name]
        assert {name for name in "abcdefgh" if await store.exists(name)} == set(expected)
        store._entries.expire()
        assert store._entries.currsize == sum(size(name, held) for name, (held, _) in expected.items()) <= _ROOM


async def test_the_expired_makes_room_before_the_living() -> None:
    """Short-lived answers that were read a moment ago do not push out what is good for a day."""
    clock = FakeClock()
    store = BoundedMemoryStore(2 * size("a", b""), clock)
    await store.set("a", b"", expires_in=86_400)
    await store.set("b", b"", expires_in=1)
    await store.get("b")
    await clock.advance(1)
    await store.set("c", b"", expires_in=1)
    assert await store.exists("a")
    assert await store.exists("c")


@pytest.mark.parametrize(
    ("value", "expires_in"), [(b"." * _ROOM, None), (b"new", 0), (b"new", -1), (b"new", timedelta(0))]
)
async def test_a_value_that_is_too_large_or_has_expired_is_not_kept(
    value: bytes, expires_in: int | timedelta | None
) -> None:
    """Nor is the older one of its key, which it replaces; the others stay."""
    store = BoundedMemoryStore(_ROOM, FakeClock())
    await store.set("a", b"old")
    await store.set("b", b"other")
    await store.set("a", value, expires_in=expires_in)
    assert await store.get("a") is None
    assert await store.get("b") == b"other"
    assert store._entries.currsize == size("b", b"other")
