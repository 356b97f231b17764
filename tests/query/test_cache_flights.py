"""Equal requests under way share one answer."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from app.http.problems import ProblemError
from app.query.answer.cache import AnswerCache, CachedAnswer, CacheState
from sluice.testing.clock import FakeClock
from tests.contract.application import cache_of
from tests.ingest.scripted import turns

ANSWER = CachedAnswer("json", {"Sluice-Count": "1"}, b"{}")
Result = tuple[CachedAnswer, CacheState]


class Maker:
    """Makes an answer when it is let go, and counts how often it was asked."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.calls = self.cancelled = 0
        self.go, self.let_go = asyncio.Event(), asyncio.Event()
        self.let_go.set()

    async def __call__(self) -> CachedAnswer:
        self.calls += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            await self.let_go.wait()  # as a store does that is told to give a query up
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return ANSWER


@pytest.fixture(autouse=True)
def complaints() -> Iterator[None]:
    """Fail a test after which the loop has something to complain about, such as an error that nobody took."""
    found: list[dict[str, Any]] = []
    original = asyncio.BaseEventLoop.call_exception_handler
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "call_exception_handler", lambda _, context: found.append(context))
        yield
        gc.collect()
    assert asyncio.BaseEventLoop.call_exception_handler is original
    assert found == []


@pytest.fixture
def cache() -> AnswerCache:
    """Return a cache of its own for each test."""
    return cache_of(FakeClock())


async def asked(cache: AnswerCache, maker: Maker, count: int, ttl_s: float = 1.0) -> list[asyncio.Task[Result]]:
    """Ask for the same answer `count` times at once."""
    tasks = [asyncio.create_task(cache.shared(("key",), ttl_s, maker)) for _ in range(count)]
    await turns()
    return tasks


async def test_when_all_have_hung_up_the_query_is_given_up(cache: AnswerCache) -> None:
    """The last one's request ends when the store has let go, and nothing is left behind."""
    maker = Maker()
    maker.let_go.clear()
    tasks = await asked(cache, maker, 3)
    for task in tasks:
        task.cancel()
    await turns()
    assert [task.done() for task in tasks].count(False) == 1
    assert maker.cancelled == 0
    maker.let_go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert all(task.cancelled() for task in tasks)
    assert (maker.calls, maker.cancelled) == (1, 1)
    assert not cache._flights
    maker.go.set()
    assert await cache.shared(("key",), 1.0, maker) == (ANSWER, "miss")


async def test_an_abandoned_answer_is_not_joined(cache: AnswerCache) -> None:
    """A request that comes while the query is being given up makes its own, and keeps it."""
    abandoned, maker = Maker(), Maker()
    abandoned.let_go.clear()
    (task,) = await asked(cache, abandoned, 1)
    task.cancel()
    await turns()
    first, second = await asked(cache, maker, 2)
    abandoned.let_go.set()
    await turns()
    assert task.cancelled()
    maker.go.set()
    assert (await first, await second) == ((ANSWER, "miss"), (ANSWER, "joined"))
    assert (abandoned.calls, maker.calls) == (1, 1)


@pytest.mark.parametrize("steps", range(6))
async def test_a_request_that_ends_before_it_began_leaves_nothing_behind(cache: AnswerCache, steps: int) -> None:
    """However many turns of the loop it had."""
    maker = Maker()
    task = asyncio.create_task(cache.shared(("key",), 1.0, maker))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not cache._flights
    assert maker.cancelled == maker.calls


async def test_a_failure_is_everybodys_and_is_not_kept(cache: AnswerCache) -> None:
    """The next request makes its own answer."""
    failure = ProblemError("store_busy", "later", members={"retry_after_s": 5}, headers={"Retry-After": "5"})
    maker = Maker(failure)
    tasks = await asked(cache, maker, 10)
    maker.go.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [failure] * 10
    assert (maker.calls, len(cache._flights)) == (1, 0)
    maker.failure = None
    assert await cache.shared(("key",), 1.0, maker) == (ANSWER, "miss")


async def test_a_failure_after_all_have_hung_up_is_nobodys(cache: AnswerCache) -> None:
    """It is neither raised nor complained about."""

    async def fail_when_cancelled() -> CachedAnswer:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    task = asyncio.create_task(cache.shared(("key",), 1.0, fail_when_cancelled))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not cache._flights
