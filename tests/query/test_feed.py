"""How often a page asks the store, over one that keeps its rows in a list."""

from collections.abc import Iterator

import msgspec
import pytest

from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, TimeRange
from app.stores.query import Query
from app.stores.source import Answer, LookUpTooExpensiveError, QueryRunner, QueryTooExpensiveError, ReadProfile
from tests.contract.memory import MemoryEngine
from tests.contract.shelf import Put, Shelf, places
from tests.contract.stores import RECORDS, REJECTS, T0_US
from tests.contract.watched import Watched, bounds


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """Give a shelf whose store answers fast: these tests are about the questions."""
    engine = MemoryEngine()
    yield Shelf(engine, engine.loop.run(engine.open([RECORDS, REJECTS])))
    engine.loop.close()


def _watch(shelf: Shelf) -> list[Query]:
    """Record the queries that reach the store."""
    watched = Watched(shelf.store.runner)
    shelf.feed = shelf.make_feed(watched)
    return watched.queries


class _Refusing(Watched):
    """A runner that refuses every query of a slice which holds an instant."""

    def __init__(self, runner: QueryRunner, at_us: int) -> None:
        super().__init__(runner)
        self._at_us = at_us

    async def rows(self, query: Query) -> Answer:
        from_us, to_us = bounds(query)
        if from_us <= self._at_us < to_us:
            raise QueryTooExpensiveError(1, 2)
        return await super().rows(query)


class _Hourly(Watched):
    """A runner whose store has a partition an hour, reads each whole, and refuses one of them."""

    def __init__(self, runner: QueryRunner, refused_us: int | None) -> None:
        super().__init__(runner)
        self.profile = ReadProfile(partition_us=HOUR_US, first_slice_us=MINUTE_US, first_look_up_us=HOUR_US)
        self._refused_us = refused_us
        self.read: list[int] = []
        """How many partitions each query has read."""

    async def rows(self, query: Query) -> Answer:
        """Run `query`, unless it touches the partition; and say that it read 1,000 bytes of each."""
        from_us, to_us = bounds(query)
        touched = range(from_us // HOUR_US * HOUR_US, to_us, HOUR_US)
        if self._refused_us in touched:
            raise QueryTooExpensiveError(1, 2)
        self.read.append(len(touched))
        return msgspec.structs.replace(await super().rows(query), bytes_processed=1_000 * len(touched))


_HOURS = 6
_BEGIN_US = -(-T0_US // HOUR_US) * HOUR_US


def _one_an_hour(shelf: Shelf) -> TimeRange:
    """Put one row into each hour; return the window of all of them, which neither begins nor ends with an hour."""
    shelf.put([Put(_BEGIN_US + hour * HOUR_US + 30 * MINUTE_US, str(hour)) for hour in range(_HOURS)])
    shelf.clock.advance_to(_BEGIN_US + _HOURS * HOUR_US)
    return TimeRange(_BEGIN_US + 10 * MINUTE_US, _BEGIN_US + _HOURS * HOUR_US - 10 * MINUTE_US)


@pytest.mark.parametrize(("descending", "expected"), [(False, "01"), (True, "543")])
def test_pages_come_as_far_as_a_partition_that_cannot_be_read(shelf: Shelf, expected: str, *, descending: bool) -> None:
    """And say so there: no cursor leads to where it is, whichever the direction."""
    runner = _Hourly(shelf.store.runner, _BEGIN_US + 2 * HOUR_US)
    page = shelf.page(window=_one_an_hour(shelf), descending=descending, limit=1, feed=shelf.make_feed(runner))
    for number, key in enumerate(expected):
        assert [place[1] for place in places(page)] == [key]
        if number < len(expected) - 1:
            page = shelf.page(cursor=page.next_cursor, limit=1, feed=shelf.make_feed(runner))
    with pytest.raises(QueryTooExpensiveError):
        shelf.page(cursor=page.next_cursor, limit=1, feed=shelf.make_feed(runner))


def test_who_polls_what_nothing_meets_asks_once(shelf: Shelf) -> None:
    """The last hour lies in two partitions nearly always; the first time, nothing is known of the rows."""
    shelf.clock.advance_to(_BEGIN_US + _HOURS * HOUR_US)
    runner = _Hourly(shelf.store.runner, None)
    feed, window = shelf.make_feed(runner), TimeRange(_BEGIN_US + 10 * MINUTE_US, _BEGIN_US + 70 * MINUTE_US)
    for _ in range(3):
        assert shelf.page(window=window, feed=feed).rows == []
    assert runner.read == [1, 1, 2, 2]


@pytest.mark.parametrize("descending", [False, True])
def test_a_page_ends_before_a_stretch_that_cannot_be_read(shelf: Shelf, *, descending: bool) -> None:
    """What was found is returned, and the cursor goes on behind it; only where nothing was found it is a failure."""
    middle_us, end_us = T0_US + DAY_US, T0_US + 2 * DAY_US
    stored = [Put(T0_US, "a"), Put(middle_us, "b"), Put(end_us - 1, "c")]
    shelf.put(stored)
    shelf.clock.advance_to(end_us)
    expected = [(put.ingest_us, put.key) for put in (stored[::-1] if descending else stored)]
    refusing = shelf.make_feed(_Refusing(shelf.store.runner, middle_us))
    page = shelf.page(window=TimeRange(T0_US, end_us), descending=descending, feed=refusing)
    assert places(page) == expected[:1]
    assert (page.next_cursor is None, page.may_grow) == (False, False)
    with pytest.raises(QueryTooExpensiveError):
        shelf.page(cursor=page.next_cursor, feed=refusing)
    assert places(shelf.page(cursor=page.next_cursor)) == expected[1:]
    assert places(shelf.page(cursor=page.resume_cursor)) == ([] if descending else expected[1:])


def test_an_idle_month_takes_a_bounded_number_of_queries(shelf: Shelf) -> None:
    """Slices widen while they are empty, and each query bounds `ingest_time` on the table."""
    shelf.clock.advance_to(T0_US + 32 * DAY_US)
    queries = _watch(shelf)
    page = shelf.page(window=TimeRange(T0_US, T0_US + 31 * DAY_US))
    assert (page.rows, page.next_cursor) == ([], None)
    assert 30 < len(queries) < 40
    assert all(to_us - from_us <= DAY_US for from_us, to_us in map(bounds, queries))


def test_a_look_up_that_would_read_too_much_says_how_far_it_came(shelf: Shelf) -> None:
    """With the limit, and what it would have needed; the newest rows are searched first."""
    shelf.put([Put(T0_US, "old"), Put(T0_US + 2 * DAY_US, "new")])
    feed = shelf.make_feed(_Refusing(shelf.store.runner, T0_US))
    window = TimeRange(T0_US, T0_US + 2 * DAY_US + 1)
    assert [row["delivery_key"] for row in shelf.run(feed.versions("x", window, (), 1))] == ["new"]
    with pytest.raises(LookUpTooExpensiveError) as raised:
        shelf.run(feed.versions("x", window, (), 2))
    assert (raised.value.limit_bytes, raised.value.needed_bytes, raised.value.row_count) == (1, 2, 1)
    assert raised.value.since_us == window.to_us - HOUR_US
