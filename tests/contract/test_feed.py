"""Pages, cursors and look-ups where one example says more than a law."""

import pytest

from app.query.request.cursor import Cursor, decode_cursor, encode_cursor
from app.runtime.instants import DAY_US, HOUR_US, MAX_US, MIN_US, SECOND_US, TimeRange
from app.stores.query import Position
from tests.contract.shelf import Put, Shelf, places
from tests.contract.stores import T0_US


def _cursor(text: str) -> Cursor:
    return decode_cursor(text, table="records")


def test_copies_with_one_stamp_in_a_later_slice_hide_nothing(shelf: Shelf) -> None:
    """A query that was cut at its row limit is not taken for the end of its slice."""
    later_us = T0_US + 30 * SECOND_US
    shelf.put([Put(T0_US + number, f"k{number}") for number in range(3)])
    shelf.put([Put(later_us, "x"), Put(later_us, "x"), Put(later_us + 1, "y")])
    shelf.clock.advance_to(later_us + 2)
    page = shelf.page(window=TimeRange(T0_US, later_us + 2), limit=4)
    assert [key for _, key in places(*shelf.scan(page, 4))] == ["k0", "k1", "k2", "x", "y"]


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
