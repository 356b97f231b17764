"""How ranges are loaded: once for all who ask, never beyond what is settled, and kept only if nothing was erased."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest

from app.record import Record
from app.runtime.instants import SECOND_US, TimeRange
from app.settings.load import Settings
from app.stores import backend as backends
from app.stores.query import ArrowQuery, Count, Query, Rows
from app.stores.source import Answer, QueryTimeoutError, QueryTooExpensiveError, StoreBusyError, streamed_bytes
from app.stores.window.database import Database
from app.stores.window.loader import Loader
from app.stores.window.source import Window
from sluice.testing.clock import FakeClock
from tests.contract.shelf import LOOKBACK_US, envelope
from tests.contract.stores import RECORDS, T0_US
from tests.encoding import encoded
from tests.stores.memory.store import MemoryAppender, MemoryStore

END_US = T0_US + 100 * SECOND_US


class Slow(MemoryStore):
    """A store of a hundred rows, a second apart, that answers when the test says; a load has forty of them."""

    def __init__(self) -> None:
        self.fake = FakeClock(END_US)
        super().__init__([RECORDS], self.fake, defaultdict(list))
        appender = MemoryAppender(self, RECORDS)
        for number in range(100):
            record = Record(id=f"id{number}", timestamp=datetime(2026, 1, 1, tzinfo=UTC))
            row = encoded(appender, record, envelope(f"k{number:02}"))
            self.insert("records", [(T0_US + number * SECOND_US, row)])
        self.asked = list[Rows]()
        self.answers, self.refusals, self.cancelled = asyncio.Event(), list[Exception](), 0
        self.answers.set()
        self.database, self.reads = Database([RECORDS], 120_000), Counter[str]()
        self.loader = Loader(
            self,
            self.database,
            self.fake,
            lookback_us=LOOKBACK_US,
            erasures=lambda: self.generation,
            reads=self.reads,
        )
        self.source = Window(self, self.database, self.loader)

    async def rows(self, query: Query) -> Answer:
        if isinstance(query, Rows):
            self.asked.append(query)
        try:
            await self.answers.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.refusals:
            raise self.refusals.pop()
        return await super().rows(query)

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        async for piece in super().arrow(query):
            if (billed := streamed_bytes.get()) is not None and not billed:
                billed.append(1_000)
            yield piece

    async def page(self, since: int, until: int, limit: int = 5) -> Answer:
        """Return the rows between two seconds."""
        query = Rows(
            table="records",
            within=TimeRange(T0_US + since * SECOND_US, T0_US + until * SECOND_US),
            lookback_us=LOOKBACK_US,
            columns=("id", "delivery_key", "ingest_time"),
            limit=limit,
        )
        return await self.source.rows(query)

    async def is_asked(self, times: int = 1) -> None:
        """Wait until so many queries have reached the store."""
        while len(self.asked) < times:  # noqa: ASYNC110 - a condition on a number, which has no event
            await asyncio.sleep(0.001)


@pytest.fixture
def store() -> Iterator[Slow]:
    """Give a store behind a window."""
    found = Slow()
    yield found
    found.database.close()


def ids(answer: Answer) -> list[str]:
    """Return the ids of an answer's rows."""
    return [row["id"] for row in answer.rows]


async def test_all_who_ask_for_a_range_share_one_query(store: Slow) -> None:
    """While it runs and afterwards; who waited for it is told what it cost, later readers pay nothing."""
    store.answers.clear()
    pages = [asyncio.create_task(store.page(since, since + 5)) for since in range(10)]
    await store.is_asked()
    store.answers.set()
    found = await asyncio.gather(*pages)
    assert [ids(each) for each in found] == [[f"id{number + i}" for i in range(5)] for number in range(10)]
    assert (len(store.asked), {each.bytes_processed for each in found}) == (1, {1_000})
    again = await store.page(3, 8)
    assert (ids(again)[0], again.bytes_processed, len(store.asked)) == ("id3", None, 1)
    count = await store.source.rows(
        Count(table="records", within=TimeRange(T0_US, T0_US + 9 * SECOND_US), lookback_us=LOOKBACK_US)
    )
    assert (count.rows, len(store.asked)) == ([{"records": 9}], 1)


async def test_a_query_ends_when_nobody_waits_for_it_and_not_before(store: Slow) -> None:
    """Of two callers one may leave; when the other leaves too, the store is told."""
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


async def test_a_failure_reaches_every_caller_and_is_not_kept(store: Slow) -> None:
    """The next one asks again."""
    store.answers.clear()
    store.refusals = [StoreBusyError("too many queries")]
    pages = [asyncio.create_task(store.page(0, 5)) for _ in range(2)]
    await store.is_asked()
    store.answers.set()
    assert [type(each) for each in await asyncio.gather(*pages, return_exceptions=True)] == [StoreBusyError] * 2
    assert len(ids(await store.page(0, 5))) == 5


async def test_a_load_that_the_store_never_answers_fails_after_a_minute(
    store: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who wait for it are told so, and a dead connection is not waited for again."""
    store.answers.clear()
    with monkeypatch.context() as patched:
        patched.setattr("app.stores.window.loader.LONGEST_LOAD_S", 0.01)
        with pytest.raises(QueryTimeoutError):
            await store.page(0, 5)
    store.answers.set()
    assert ids(await store.page(0, 1)) == ["id0"]


async def test_a_range_that_the_store_refuses_to_read_is_left_to_the_query_itself(store: Slow) -> None:
    """Its refusal is the caller's business; the next load is shorter."""
    store.refusals = [QueryTooExpensiveError(1, 2)]
    assert ids(await store.page(0, 2)) == ["id0", "id1"]
    refused, passed_on = store.asked
    assert (refused.marks_copies, passed_on.marks_copies) == (True, False)
    assert passed_on.within == TimeRange(T0_US, T0_US + 2 * SECOND_US)
    await store.page(50, 52)
    assert store.asked[2].marks_copies
    assert store.asked[2].within.length_us < refused.within.length_us
    assert store.reads["passed_on"] == 1


async def test_no_load_reaches_beyond_the_horizon(store: Slow) -> None:
    """A query beyond it is the store's."""
    assert ids(await store.page(98, 100)) == ["id98", "id99"]
    assert store.asked[-1].marks_copies
    assert store.asked[-1].within.to_us <= store.fake.now_us()
    assert ids(await store.page(98, 101)) == ["id98", "id99"]
    assert not store.asked[-1].marks_copies


async def test_what_was_read_while_a_record_was_erased_is_not_kept(store: Slow) -> None:
    """It may hold the record."""
    store.answers.clear()
    page = asyncio.create_task(store.page(0, 5))
    await store.is_asked()
    store.generation += 1
    store.answers.set()
    await page
    assert not store.loader.ranges.size
    await store.page(0, 5)
    assert store.loader.ranges.size


async def test_a_load_whose_keys_went_meanwhile_is_not_kept(store: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would have found its copies by them; a newer load, beside nothing that is kept, has dropped them."""
    table = store.loader.tables["records"]
    monkeypatch.setattr(store.loader, "_knows_copies", lambda *_: True)
    for goes, since in ((False, 0), (True, 60)):
        store.answers.clear()
        page = asyncio.create_task(store.page(since, since + 9))
        await store.is_asked(1 + goes)
        if goes:
            store.loader._keeps_keys(table, TimeRange(END_US - SECOND_US, END_US), 1)
        store.answers.set()
        assert ids(await page) == [f"id{number}" for number in range(since, since + 5)]
        assert store.reads["passed_on"] == goes


async def test_a_table_whose_rows_do_not_fit_is_read_without_the_window(
    store: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    """As where a column was widened to BIGNUMERIC; it is said once."""
    store.loader._database._connection.execute("ALTER TABLE records ALTER id TYPE INTEGER USING NULL")
    for _ in range(2):
        assert ids(await store.page(0, 2)) == ["id0", "id1"]
    assert caplog.text.count("cannot be loaded") == 1


@pytest.mark.parametrize(("window_bytes", "partition_us", "has_window"), [(1, 2, True), (0, 2, False), (1, 1, False)])
def test_a_window_is_for_stores_that_read_more_than_they_are_asked_for(
    window_bytes: int, partition_us: int, *, has_window: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only where memory is set aside for it."""
    store = MemoryStore([RECORDS], FakeClock(END_US), defaultdict(list))
    store.profile = msgspec.structs.replace(store.profile, partition_us=partition_us)
    module = SimpleNamespace(open_backend=lambda *_: SimpleNamespace(runner=store), with_window=lambda *_: "window")
    monkeypatch.setattr(backends, "import_module", lambda _: module)
    opened: object = backends.open_backend(Settings().replace(window_bytes=window_bytes), [RECORDS], store.clock)
    assert (opened == "window") is has_window
