"""Pages, cursors and look-ups where one example says more than a law."""

import msgspec
import pytest

from app.http.problems import ProblemError
from app.query.request.cursor import Cursor, decode_cursor, encode_cursor
from app.runtime.instants import DAY_US, HOUR_US, MAX_US, MIN_US, SECOND_US
from app.runtime.time_range import TimeRange
from app.stores.query import Position
from tests.contract.shelf import LOOKBACK_US, Put, Shelf, places
from tests.contract.stores import T0_US


def _cursor(text: str) -> Cursor:
    return decode_cursor(text, table="records")


def test_rows_with_one_stamp_are_told_apart_by_their_keys(shelf: Shelf) -> None:
    """Pages of one row lose none of the rows that share a stamp."""
    shelf.put(Put(T0_US, key) for key in "cab")
    shelf.clock.advance_to(T0_US + 1)
    pages = shelf.scan(shelf.page(window=TimeRange(T0_US, T0_US + 1), limit=1), 1)
    assert places(*pages) == [(T0_US, "a"), (T0_US, "b"), (T0_US, "c")]


@pytest.mark.above_the_stores
@pytest.mark.parametrize("descending", [False, True])
def test_copies_with_one_stamp_count_once_even_at_the_edge_of_a_page(shelf: Shelf, *, descending: bool) -> None:
    """Of rows with the same stamp and key, one is served, whatever the limit."""
    shelf.put([Put(T0_US, "a")] * 5 + [Put(T0_US, "b")] * 3 + [Put(T0_US, "c")] * 2)
    shelf.clock.advance_to(T0_US + 1)
    expected = [(T0_US, "a"), (T0_US, "b"), (T0_US, "c")]
    for limit in (1, 2, 3):
        first = shelf.page(window=TimeRange(T0_US, T0_US + 1), limit=limit, descending=descending)
        assert places(*shelf.scan(first, limit)) == (expected[::-1] if descending else expected)


def test_copies_with_one_stamp_in_a_later_slice_hide_nothing(shelf: Shelf) -> None:
    """A query that was cut at its row limit is not taken for the end of its slice."""
    later_us = T0_US + 30 * SECOND_US
    shelf.put([Put(T0_US + number, f"k{number}") for number in range(3)])
    shelf.put([Put(later_us, "x"), Put(later_us, "x"), Put(later_us + 1, "y")])
    shelf.clock.advance_to(later_us + 2)
    page = shelf.page(window=TimeRange(T0_US, later_us + 2), limit=4)
    assert [key for _, key in places(*shelf.scan(page, 4))] == ["k0", "k1", "k2", "x", "y"]


@pytest.mark.above_the_stores
def test_the_resume_cursor_in_the_middle_of_a_walk_stands_at_the_last_row(shelf: Shelf) -> None:
    """It has no end, so what it reads goes on beyond the window."""
    shelf.put(Put(T0_US + number, f"k{number}") for number in range(4))
    shelf.clock.advance_to(T0_US + 10)
    page = shelf.page(window=TimeRange(T0_US, T0_US + 3), limit=2)
    last = Position(T0_US + 1, "k1")
    assert _cursor(page.resume_cursor) == Cursor(
        table="records", descending=False, since_us=last.ingest_us, until_us=None, after=last
    )
    assert [key for _, key in places(shelf.page(cursor=page.resume_cursor))] == ["k2", "k3"]


@pytest.mark.above_the_stores
def test_the_resume_cursor_of_a_backward_walk_goes_forward_from_its_window(shelf: Shelf) -> None:
    """What is newer than the window comes oldest first."""
    shelf.put(Put(T0_US + number, f"k{number}") for number in range(6))
    shelf.clock.advance_to(T0_US + 10)
    page = shelf.page(window=TimeRange(T0_US, T0_US + 3), limit=2, descending=True)
    assert [key for _, key in places(page)] == ["k2", "k1"]
    assert [key for _, key in places(shelf.page(cursor=page.resume_cursor))] == ["k3", "k4", "k5"]


@pytest.mark.above_the_stores
def test_a_horizon_behind_the_cursor_gives_nothing_and_the_same_place(shelf: Shelf) -> None:
    """A clock that lags never takes a reader back over rows it has seen."""
    shelf.put([Put(T0_US, "a"), Put(T0_US, "b")])
    after = Position(T0_US, "a")
    text = encode_cursor(Cursor(table="records", descending=False, since_us=T0_US, until_us=None, after=after))
    page = shelf.page(cursor=text, horizon_us=T0_US - SECOND_US)
    assert (page.rows, page.next_cursor, page.resume_cursor, page.may_grow) == ([], None, text, True)
    assert page.scan.window == TimeRange(T0_US, T0_US)


@pytest.mark.above_the_stores
def test_resuming_after_a_long_time_reads_no_more_than_a_window_allows(shelf: Shelf) -> None:
    """An old resume cursor catches up window by window, without a pause."""
    shelf.feed = shelf.make_feed(max_window_days=1)
    shelf.put([Put(T0_US + 30 * HOUR_US, "late")])
    shelf.clock.advance_to(T0_US + 31 * HOUR_US)
    text = encode_cursor(Cursor(table="records", descending=False, since_us=T0_US, until_us=None, after=None))
    first = shelf.page(cursor=text)
    assert first.scan.window == TimeRange(T0_US, T0_US + DAY_US)
    assert (first.rows, first.may_grow) == ([], False)
    assert [key for _, key in places(shelf.page(cursor=first.resume_cursor))] == ["late"]


@pytest.mark.above_the_stores
def test_poll_after_is_a_pause_only_when_everything_settled_was_read(shelf: Shelf) -> None:
    """More pages, or a window that ended before the horizon, mean that there is more to read already."""
    shelf.put(Put(T0_US + number, f"k{number}") for number in range(3))
    shelf.clock.advance_to(T0_US + 10)
    assert not shelf.page(window=TimeRange(T0_US, T0_US + 3), limit=2).may_grow
    assert not shelf.page(window=TimeRange(T0_US, T0_US + 3), limit=5).may_grow
    assert shelf.page(window=TimeRange(T0_US, shelf.clock.now_us() + 1), limit=5).may_grow


@pytest.mark.above_the_stores
def test_another_order_than_the_cursors_is_refused(shelf: Shelf) -> None:
    """`order` may be repeated with a cursor, but not changed."""
    shelf.put(Put(T0_US + number, f"k{number}") for number in range(3))
    shelf.clock.advance_to(T0_US + 10)
    page = shelf.page(window=TimeRange(T0_US, T0_US + 3), limit=1, descending=True)
    assert places(shelf.page(cursor=page.next_cursor, descending=True, limit=1)) == [(T0_US + 1, "k1")]
    with pytest.raises(ProblemError, match="order desc") as caught:
        shelf.page(cursor=page.next_cursor, descending=False)
    assert [error.name for error in caught.value.errors] == ["order"]


@pytest.mark.above_the_stores
def test_a_cursor_with_a_window_that_is_too_long_is_refused(shelf: Shelf) -> None:
    """A made-up cursor cannot ask for more than a parameter could."""
    cursor = Cursor(table="records", descending=False, since_us=MIN_US, until_us=MAX_US, after=None)
    with pytest.raises(ProblemError, match="longer than") as caught:
        shelf.page(cursor=encode_cursor(cursor))
    assert caught.value.code == "invalid_cursor"


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("at_us", [MIN_US, MIN_US + 1, MAX_US - 1])
def test_the_ends_of_time_can_be_read(shelf: Shelf, at_us: int, *, descending: bool) -> None:
    """Neither the look-back before the first instant nor the slice after the last overflows."""
    shelf.feed = shelf.make_feed(max_window_days=1)
    window = TimeRange(at_us, min(at_us + HOUR_US, MAX_US))
    assert shelf.page(window=window, descending=descending).rows == []
    after = Position(at_us, "k")
    for until_us in (None, window.to_us):
        if until_us is not None or not descending:
            cursor = Cursor(table="records", descending=descending, since_us=at_us, until_us=until_us, after=after)
            assert shelf.page(cursor=encode_cursor(cursor)).rows == []


def test_a_late_copy_of_an_old_version_does_not_come_back_over_a_newer_one(shelf: Shelf) -> None:
    """The latest version is the greatest place among rows that are no copies."""
    shelf.put([Put(T0_US, "v1"), Put(T0_US + 1, "v2"), Put(T0_US + 2, "v1"), Put(T0_US + 3, "other", "y")])
    rows = shelf.run(shelf.feed.versions("x", TimeRange(T0_US - DAY_US, T0_US + 10), (), 1))
    assert [row["delivery_key"] for row in rows] == ["v2"]


def test_a_delivery_is_new_again_after_the_look_back(shelf: Shelf) -> None:
    """At exactly the look-back it is still a copy; a microsecond later it is not."""
    shelf.put([Put(T0_US, "a"), Put(T0_US + LOOKBACK_US, "a"), Put(T0_US + 2 * LOOKBACK_US + 1, "a")])
    shelf.clock.advance_to(T0_US + DAY_US)
    page = shelf.page(window=TimeRange(T0_US, T0_US + DAY_US))
    assert places(page) == [(T0_US, "a"), (T0_US + 2 * LOOKBACK_US + 1, "a")]


@pytest.mark.above_the_stores
def test_rows_are_served_without_the_columns_that_the_page_was_made_with(shelf: Shelf) -> None:
    """A row has the table's columns, in the table's order."""
    shelf.put([Put(T0_US, "a")])
    shelf.clock.advance_to(T0_US + 1)
    (row,) = shelf.page(window=TimeRange(T0_US, T0_US + 1)).rows
    assert list(row)[:4] == ["id", "timestamp", "source", "data"]
    assert list(row)[-2:] == ["ingest_time", "trace_id"]
    assert row["attributes"] == msgspec.Raw(b"{}")
