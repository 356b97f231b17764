"""Answers that are shared and kept for a while, and stores that cannot be relied upon."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest

from app.query.answer.cache import (
    ENTRY_BYTES,
    KEY_BYTES,
    PAUSE_S,
    AnswerCache,
    BoundedMemoryStore,
    CachedAnswer,
    digest_of,
)
from app.settings.load import Settings
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns
from tests.support.unwatched import environment_of

ANSWER = CachedAnswer("json", {"Sluice-Count": "1", "Sluice-Resume-Cursor": "é"}, b"\x00{}")


class Store:
    """A store that notes what it is asked, and can be made to fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None
        self.values: dict[str, bytes] = {}

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        self.asked.append(("set", key, ttl_s))
        self._trouble()
        self.values[key] = value

    async def get(self, key: str) -> bytes | None:
        self.asked.append(("get", key))
        self._trouble()
        return self.values.get(key)

    async def aclose(self) -> None:
        """Have nothing to close."""

    def _trouble(self) -> None:
        if self.failure is not None:
            raise self.failure


class Rig:
    """A cache over a store, and how many answers were made."""

    def __init__(self) -> None:
        self.clock, self.store, self.made = FakeClock(), Store(), 0
        self.environment = environment_of(self.clock, Settings().replace(cache_max_bytes=8_000))
        store: Any = self.store
        self.cache = AnswerCache(self.environment, store, lambda: "")

    async def make(self, answer: CachedAnswer = ANSWER) -> CachedAnswer:
        self.made += 1
        return answer

    async def state(self, key: str = "key", ttl_s: float = 1.0) -> str:
        """Ask for the answer and return where it came from."""
        answer, state = await self.cache.shared((key,), ttl_s, self.make)
        assert answer == ANSWER
        return state


@pytest.fixture
def rig() -> Rig:
    """Return a rig of its own for each test."""
    return Rig()


@pytest.mark.parametrize("ttl_s", [0.3, 1.0, 1.5, 86_400.0])
async def test_an_answer_is_kept_for_its_time(rig: Rig, ttl_s: float) -> None:
    """To the fraction of a second."""
    rig.cache = AnswerCache(rig.environment, BoundedMemoryStore(8_000, rig.clock), lambda: "")
    assert await rig.state(ttl_s=ttl_s) == "miss"
    await rig.clock.advance(ttl_s - 0.01)
    assert await rig.state(ttl_s=ttl_s) == "hit"
    await rig.clock.advance(0.011)
    assert await rig.state(ttl_s=ttl_s) == "miss"
    assert rig.made == 2


async def test_a_large_answer_is_not_kept(rig: Rig) -> None:
    """The limit is on the entry as it is kept, exactly."""
    room = 1_000 - len(msgspec.msgpack.encode(CachedAnswer("csv", {}, b"." * 500)))
    for size, state in ((500 + room + 1, "miss"), (500 + room, "hit")):
        make = partial(rig.make, answer := CachedAnswer("csv", {}, b"." * size))
        assert await rig.cache.shared(("key",), 1.0, make) == (answer, "miss")
        assert await rig.cache.shared(("key",), 1.0, make) == (answer, state)


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "torn": lambda raw: raw[: len(raw) // 2],
    "of another release": lambda _: msgspec.msgpack.encode({"answer": 1}),
    "not Unicode": lambda raw: raw.replace(b"\xc3\xa9", b"\xff\xff"),
    "of another media type": lambda raw: raw.replace(b"\xa4json", b"\xa4html"),
    "of another header": lambda raw: raw.replace(b"\xacSluice-Count", b"\xaaSet-Cookie"),
}


@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT)
async def test_an_entry_that_is_not_right_is_ignored(rig: Rig, change: Callable[[bytes], bytes]) -> None:
    """And replaced; the store goes on being used."""
    await rig.state()
    digest = digest_of("", "key")
    raw = await rig.store.get(digest)
    assert raw is not None
    assert change(raw) != raw
    rig.store.values[digest] = change(raw)
    assert [await rig.state(), await rig.state()] == ["miss", "hit"]


@pytest.mark.parametrize(
    ("failure", "told"), [(OSError("connection refused"), "refused"), (TimeoutError(), "no answer within 0.25 s")]
)
async def test_a_store_that_fails_fails_no_request(
    rig: Rig, caplog: pytest.LogCaptureFixture, failure: Exception, told: str
) -> None:
    """It is left alone for a moment, and used again as soon as it works."""
    rig.store.failure = failure
    assert [await rig.state() for _ in range(3)] == ["miss", "miss", "miss"]
    assert [step for step, *_ in rig.store.asked] == ["get"]
    assert [record.name for record in caplog.records] == ["sluice.query"]
    assert told in caplog.text
    rig.store.failure = None
    await rig.clock.advance(PAUSE_S)
    assert [await rig.state(), await rig.state()] == ["miss", "hit"]


class Slow:
    """Makes an answer when it is let go; one that is given up goes on until it is let go."""

    def __init__(self) -> None:
        self.calls, self.go, self.let_go = 0, asyncio.Event(), asyncio.Event()

    async def __call__(self) -> CachedAnswer:
        self.calls += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            await self.let_go.wait()  # as a store does that is told to give a query up
            raise
        return ANSWER


async def test_an_abandoned_answer_is_not_joined(rig: Rig) -> None:
    """A request that comes while the query is being given up makes its own, and keeps it."""
    abandoned, maker = Slow(), Slow()
    task = asyncio.create_task(rig.cache.shared(("key",), 1.0, abandoned))
    await turns()
    task.cancel()
    await turns()
    both = [asyncio.create_task(rig.cache.shared(("key",), 1.0, maker)) for _ in range(2)]
    await turns()
    abandoned.let_go.set()
    await turns()
    assert task.cancelled()
    maker.go.set()
    assert await asyncio.gather(*both) == [(ANSWER, "miss"), (ANSWER, "joined")]
    assert (abandoned.calls, maker.calls) == (1, 1)


@pytest.mark.parametrize("steps", range(6))
async def test_a_request_that_ends_before_it_began_leaves_nothing_behind(rig: Rig, steps: int) -> None:
    """However many turns of the loop it had."""
    maker = Slow()
    maker.let_go.set()
    task = asyncio.create_task(rig.cache.shared(("key",), 1.0, maker))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not rig.cache._flights


async def test_the_memory_holds_what_was_used_last_and_never_too_much(rig: Rig) -> None:
    """A value that is too large is not kept, nor is the older one of its key."""
    least = ENTRY_BYTES + KEY_BYTES  # what an entry counts, besides its value
    store = BoundedMemoryStore(3 * least, rig.clock)
    for key in "abc":
        await store.set(key, b"", 9)
    assert await store.get("a") == b""
    await store.set("d", b"", 9)
    assert [await store.get(key) for key in "abcd"] == [b"", None, b"", b""]
    await store.set("a", b"x" * 3 * least, 9)
    assert [await store.get(key) for key in "acd"] == [None, b"", b""]
