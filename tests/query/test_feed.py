"""How often a page asks the store, over one that keeps its rows in a list."""

from collections.abc import Iterator

import msgspec
import pytest

from app.query.read import feed as feeds
from app.query.request.scan import Count
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, TimeRange
from app.stores.query import Query
from app.stores.source import Answer, QueryRunner, QueryTooExpensiveError, ReadProfile
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


def test_a_look_up_asks_twice(shelf: Shelf) -> None:
    """The newest range is read first, then all before it, unless that is too large."""
    window = _one_an_hour(shelf)
    runner = _Hourly(shelf.store.runner, None)
    assert shelf.run(shelf.make_feed(runner).versions("absent", window, (), 1)) == []
    newest_us = window.to_us - HOUR_US
    assert [*map(bounds, runner.queries)] == [(newest_us, window.to_us), (window.from_us, newest_us)]
    refusing = shelf.make_feed(_Hourly(shelf.store.runner, _BEGIN_US))
    with pytest.raises(QueryTooExpensiveError):
        shelf.run(refusing.versions("x", window, (), 9))


def test_a_capped_count_reads_no_partition_beyond_its_cap(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the newest rows backwards."""
    monkeypatch.setattr(feeds, "COUNT_CAP", 2)
    runner = _Hourly(shelf.store.runner, _BEGIN_US)
    page = shelf.page(
        window=_one_an_hour(shelf), descending=True, limit=1, count="capped", feed=shelf.make_feed(runner)
    )
    assert page.count == Count(2, "gte")


def test_an_idle_month_takes_a_bounded_number_of_queries(shelf: Shelf) -> None:
    """Slices widen while they are empty, and each query bounds `ingest_time` on the table."""
    shelf.clock.advance_to(T0_US + 32 * DAY_US)
    queries = _watch(shelf)
    page = shelf.page(window=TimeRange(T0_US, T0_US + 31 * DAY_US))
    assert (page.rows, page.next_cursor) == ([], None)
    assert 30 < len(queries) < 40
    assert all(to_us - from_us <= DAY_US for from_us, to_us in map(bounds, queries))
