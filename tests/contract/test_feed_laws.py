"""The laws of the feed, against a model in plain Python."""

from hypothesis import given
from hypothesis import strategies as st

from app.runtime.instants import DAY_US, HOUR_US, SECOND_US, TimeRange, epoch_us
from app.stores.query import Query
from app.stores.source import Answer, QueryRunner, QueryTooExpensiveError
from tests.contract.shelf import LOOKBACK_US, Put, Shelf, in_window, places
from tests.contract.stores import T0_US, law
from tests.contract.watched import Watched, bounds

# Distances at which something changes: ties, neighbouring microseconds, edges of slices and of the look-back.
_STEPS = st.sampled_from(
    [
        0,
        0,
        1,
        SECOND_US,
        10 * SECOND_US - 1,
        10 * SECOND_US,
        70 * SECOND_US,
        LOOKBACK_US - 1,
        LOOKBACK_US,
        LOOKBACK_US + 1,
        HOUR_US,
        DAY_US,
    ]
)
_KEYS = st.sampled_from(["a", "b", "c", "d", "e", "é", "\N{PILE OF POO}"])
_LIMITS = st.integers(1, 7)


@st.composite
def _rows(draw: st.DrawFn) -> list[Put]:
    puts, at_us = [], T0_US
    for step_us, key in draw(st.lists(st.tuples(_STEPS, _KEYS), max_size=14)):
        at_us += step_us
        puts.append(Put(at_us, key))
    return puts


def _settle(shelf: Shelf, puts: list[Put]) -> None:
    shelf.clear()
    shelf.put(puts)
    shelf.clock.advance_to(max((put.ingest_us for put in puts), default=T0_US) + 1)


def test_pages_tile_the_window(shelf: Shelf) -> None:
    """Pages of any lengths, in either order, hold the window's rows once each, and in order."""

    @law(shelf.engine)
    @given(
        puts=_rows(), span_us=st.tuples(_STEPS, _STEPS), limits=st.lists(_LIMITS, min_size=1), descending=st.booleans()
    )
    def holds(puts: list[Put], span_us: tuple[int, int], limits: list[int], *, descending: bool) -> None:
        _settle(shelf, puts)
        before_us, length_us = span_us
        window = TimeRange(T0_US + before_us, T0_US + before_us + 4 * length_us)
        page = shelf.page(window=window, descending=descending, limit=limits[0])
        pages = [page]
        while page.next_cursor is not None:
            page = shelf.page(cursor=page.next_cursor, limit=limits[len(pages) % len(limits)])
            pages.append(page)
        expected = in_window(puts, window.from_us, window.to_us)
        assert places(*pages) == (expected[::-1] if descending else expected)
        assert all(page.rows for page in pages[:-1])

    holds()


class _Sparing(Watched):
    """A runner that refuses to read more than `longest_us` at once."""

    def __init__(self, runner: QueryRunner, longest_us: int) -> None:
        super().__init__(runner)
        self._longest_us, self.refused = longest_us, 0

    async def rows(self, query: Query) -> Answer:
        from_us, to_us = bounds(query)
        if to_us - from_us > self._longest_us:
            self.refused += 1
            raise QueryTooExpensiveError(self._longest_us, to_us - from_us)
        return await super().rows(query)


def test_slices_that_are_refused_change_nothing(shelf: Shelf) -> None:
    """A store that reads only so much at once gives the same pages, cursors included, as one that reads all."""
    refused = 0

    @law(shelf.engine)
    @given(puts=_rows(), limit=_LIMITS, descending=st.booleans(), longest_h=st.sampled_from([1, 2, 5, 11]))
    def holds(puts: list[Put], limit: int, longest_h: int, *, descending: bool) -> None:
        nonlocal refused
        _settle(shelf, puts)
        runner = _Sparing(shelf.store.runner, longest_h * HOUR_US)
        sparing, now = shelf.make_feed(runner), shelf.now()
        window = TimeRange(T0_US, shelf.clock.now_us() + HOUR_US)
        page = shelf.page(window=window, now=now, descending=descending, limit=limit)
        first = shelf.page(window=window, now=now, descending=descending, limit=limit, feed=sparing)
        found = shelf.scan(first, limit, now=now, feed=sparing)
        assert found == shelf.scan(page, limit, now=now)
        refused += runner.refused

    holds()
    assert refused or shelf.engine.name != "embedded"  # elsewhere the examples are few


def test_rows_that_arrive_during_a_walk_do_not_disturb_it_and_come_with_resume(shelf: Shelf) -> None:
    """A scan shows its window as it was settled; the last resume cursor shows what arrived since, and only that."""

    @law(shelf.engine)
    @given(puts=_rows(), late=_rows(), limit=_LIMITS, descending=st.booleans())
    def holds(puts: list[Put], late: list[Put], limit: int, *, descending: bool) -> None:
        _settle(shelf, puts)
        start_us, end_us = T0_US, shelf.clock.now_us()
        page = shelf.page(window=TimeRange(start_us, end_us), descending=descending, limit=limit)
        late = [Put(put.ingest_us - T0_US + end_us, put.key) for put in late]
        shelf.put(late)
        shelf.clock.advance_to(max((put.ingest_us for put in late), default=0) + 1)

        walked = shelf.scan(page, limit)
        expected = in_window(puts, start_us, end_us)
        assert places(*walked) == (expected[::-1] if descending else expected)

        everything = puts + late
        assert _follow(shelf, walked[-1].resume_cursor, limit) == in_window(everything, end_us, shelf.clock.now_us())

    holds()


def _follow(shelf: Shelf, cursor: str, limit: int) -> list[tuple[int, str]]:
    """Read on until nothing is new."""
    found, page = [], shelf.page(cursor=cursor, limit=limit)
    while True:
        found += places(page)
        if page.may_grow and page.next_cursor is None:
            return found
        page = shelf.page(cursor=page.next_cursor or page.resume_cursor, limit=limit)


def test_the_versions_of_a_record_are_its_deliveries_newest_first(shelf: Shelf) -> None:
    """By id, copies are left out as in the feed, and the greatest place comes first."""

    @law(shelf.engine)
    @given(puts=_rows(), limit=_LIMITS)
    def holds(puts: list[Put], limit: int) -> None:
        _settle(shelf, puts)
        end_us = shelf.clock.now_us()
        rows = shelf.run(shelf.feed.versions("x", TimeRange(T0_US, end_us), (), limit))
        found = [(epoch_us(row["ingest_time"]), row["delivery_key"]) for row in rows]
        assert found == in_window(puts, T0_US, end_us)[::-1][:limit]
        assert shelf.run(shelf.feed.versions("y", TimeRange(T0_US, end_us), (), limit)) == []

    holds()
