"""How chunks are read: once for all who ask, never beyond what is settled, and kept only if nothing was erased."""

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from app.query.chunks.plan import Sizes
from app.query.chunks.shelf import Shelf
from app.query.chunks.source import ChunkedSource, with_chunks
from app.query.read.cache import BoundedMemoryStore
from app.record import Record
from app.runtime.instants import SECOND_US
from app.runtime.time_range import TimeRange
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.query import Export, Query, RowQuery
from app.stores.source import Answer, QueryTooExpensiveError, StoreBusyError
from sluice.testing.clock import FakeClock
from tests.contract.shelf import LOOKBACK_US, envelope
from tests.contract.stores import RECORDS, T0_US
from tests.encoding import encoded
from tests.stores.memory.store import MemoryAppender, MemoryStore
from tests.support.unwatched import environment_of

END_US = T0_US + 100 * SECOND_US


class Slow(MemoryStore):
    """A store of a hundred rows, a second apart, that answers when the test says."""

    def __init__(self) -> None:
        self.fake = FakeClock(END_US)
        super().__init__([RECORDS], self.fake, defaultdict(list))
        appender = MemoryAppender(self, RECORDS)
        for number in range(100):
            record = Record(id=f"id{number}", timestamp=datetime(2026, 1, 1, tzinfo=UTC))
            row = encoded(appender, record, envelope(f"k{number:02}"))
            self.insert("records", [(T0_US + number * SECOND_US, row)])
        self.asked = list[RowQuery | Export]()
        self.answers, self.refusals, self.cancelled = asyncio.Event(), list[Exception](), 0
        self.answers.set()
        self.generation = 0
        self.shelf = Shelf(10**6, self.fake, ttl_s=1e6, erasures=lambda: self.generation)
        self.reads = Counter[str]()
        self.source = ChunkedSource(
            self,
            [RECORDS],
            self.shelf,
            lookback_us=LOOKBACK_US,
            reads=self.reads,
            grid_us=SECOND_US,
            sizes=Sizes(most_rows=40),
        )

    async def rows(self, query: Query) -> Answer:
        assert isinstance(query, RowQuery | Export)
        self.asked.append(query)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.refusals:
            raise self.refusals.pop()
        answer = await super().rows(query)
        return Answer(answer.rows, 1_000, answer.fetched_bytes, answer.cut)

    async def page(self, since: int, until: int, limit: int = 5) -> Answer:
        """Return the rows between two seconds."""
        query = RowQuery(
            table="records",
            within=TimeRange(T0_US + since * SECOND_US, T0_US + until * SECOND_US),
            lookback_us=LOOKBACK_US,
            columns=("id", "delivery_key", "ingest_time"),
            limit=limit,
            candidates=limit + 5,
        )
        return await self.source.rows(query)

    async def is_asked(self, times: int = 1) -> None:
        """Wait until so many queries have reached the store."""
        while len(self.asked) < times:  # noqa: ASYNC110 - a condition on a number, which has no event
            await asyncio.sleep(0)


def ids(answer: Answer) -> list[str]:
    """Return the ids of an answer's rows."""
    return [row["id"] for row in answer.rows]


async def test_all_who_ask_for_a_stretch_share_one_query() -> None:
    """While it runs and afterwards; who waited for it is told what it cost, later readers pay nothing."""
    store = Slow()
    store.answers.clear()
    pages = [asyncio.create_task(store.page(since, since + 5)) for since in range(10)]
    await store.is_asked()
    store.answers.set()
    found = await asyncio.gather(*pages)
    assert [ids(each) for each in found] == [[f"id{number + i}" for i in range(5)] for number in range(10)]
    assert (len(store.asked), {each.bytes_processed for each in found}) == (1, {1_000})
    assert store.asked[0].columns == tuple(column.name for column in RECORDS.columns)
    again = await store.page(3, 8)
    assert (ids(again)[0], again.bytes_processed, len(store.asked)) == ("id3", None, 1)
    assert store.reads == {"read": 1, "shared": 9, "at_hand": 1}


async def test_a_query_ends_when_nobody_waits_for_it_and_not_before() -> None:
    """Of two callers one may leave; when the other leaves too, the store is told."""
    store = Slow()
    store.answers.clear()
    first, second = (asyncio.create_task(store.page(0, 5)) for _ in range(2))
    await store.is_asked()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (store.cancelled, len(store.asked)) == (0, 1)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert store.cancelled == 1
    store.answers.set()
    assert ids(await store.page(0, 2)) == ["id0", "id1"]


async def test_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    """The next one asks again."""
    store = Slow()
    store.answers.clear()
    store.refusals = [StoreBusyError("too many queries")]
    pages = [asyncio.create_task(store.page(0, 5)) for _ in range(2)]
    await store.is_asked()
    store.answers.set()
    assert [type(each) for each in await asyncio.gather(*pages, return_exceptions=True)] == [StoreBusyError] * 2
    assert len(ids(await store.page(0, 5))) == 5


async def test_a_stretch_that_the_store_refuses_to_read_is_left_to_the_query_itself() -> None:
    """Its refusal is the caller's business; the next span is shorter."""
    store = Slow()
    store.refusals = [QueryTooExpensiveError(1, 2)]
    assert ids(await store.page(0, 2)) == ["id0", "id1"]
    refused, passed_on = store.asked
    assert (passed_on.within.from_us, passed_on.within.to_us) == (T0_US, T0_US + 2 * SECOND_US)
    await store.page(50, 52)
    assert store.asked[2].within.to_us - store.asked[2].within.from_us < refused.within.to_us - refused.within.from_us
    assert store.reads["passed_on"] == 1


async def test_no_chunk_reaches_beyond_the_horizon() -> None:
    """The horizon is on the grid; a query beyond it is the store's."""
    store = Slow()
    store.fake.advance_to(END_US + SECOND_US // 2)
    assert store.source.horizon_us("records") == END_US
    assert ids(await store.page(98, 100)) == ["id98", "id99"]
    assert store.asked[-1].within.to_us == END_US
    unsettled = await store.page(98, 101)
    assert (ids(unsettled), store.asked[-1].limit) == (["id98", "id99"], 5)


async def test_more_rows_than_a_chunk_may_have_are_read_by_the_next() -> None:
    """None is left out where one ends."""
    store = Slow()
    assert ids(await store.page(0, 100, limit=100)) == [f"id{number}" for number in range(100)]
    assert [query.limit for query in store.asked] == [40, 40, 40]


async def test_what_was_read_while_a_record_was_erased_is_not_kept() -> None:
    """It may hold the record."""
    store = Slow()
    store.answers.clear()
    page = asyncio.create_task(store.page(0, 5))
    await store.is_asked()
    store.generation += 1
    store.answers.set()
    await page
    assert len(store.shelf) == 0
    await store.page(0, 5)
    assert (len(store.shelf), len(store.asked)) == (1, 2)


@pytest.mark.parametrize(("max_bytes", "partition_us", "is_chunked"), [(1, 2, True), (0, 2, False), (1, 1, False)])
def test_chunks_are_for_stores_that_read_more_than_they_are_asked_for(
    max_bytes: int, partition_us: int, *, is_chunked: bool
) -> None:
    """And only where memory is set aside for them."""
    store = MemoryStore([RECORDS], FakeClock(END_US), defaultdict(list))
    store.partition_us = partition_us
    environment = environment_of(store.clock, Settings().replace(chunk_max_bytes=max_bytes))
    server = BoundedMemoryStore(0, store.clock)
    backend = SimpleNamespace(name="here", eraser=SimpleNamespace(generation=0))
    found = with_chunks(store, environment, [RECORDS], cast("Backend", backend), server)
    assert isinstance(found, ChunkedSource) is is_chunked
