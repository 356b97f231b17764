"""Counts over every store: of the window, copies left out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.read import feed
from app.query.request.scan import Count
from app.runtime.instants import HOUR_US, TimeRange
from tests.contract.shelf import LOOKBACK_US, Put, Shelf, in_window
from tests.contract.stores import T0_US, law

_STEPS = st.sampled_from([0, 1, 1_000_000, LOOKBACK_US, LOOKBACK_US + 1, HOUR_US])


@st.composite
def _rows(draw: st.DrawFn) -> list[Put]:
    """Return rows of a few deliveries, each of one record, however often it comes."""
    puts, at_us = [], T0_US
    for step_us, key in draw(st.lists(st.tuples(_STEPS, st.sampled_from("abcdef")), max_size=14)):
        at_us += step_us
        puts.append(Put(at_us, key, "x" if key < "d" else "y"))
    return puts


def test_a_count_is_what_a_walk_of_the_window_gives(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly, or as far as it was to be counted; with filters, after a cursor, and in either order."""
    monkeypatch.setattr(feed, "COUNT_CAP", 3)

    @law(shelf.engine)
    @given(
        puts=_rows(),
        span_us=st.tuples(_STEPS, _STEPS),
        record_id=st.sampled_from([None, "x", "y"]),
        is_fixed=st.booleans(),
        descending=st.booleans(),
    )
    def holds(
        puts: list[Put], span_us: tuple[int, int], record_id: str | None, *, is_fixed: bool, descending: bool
    ) -> None:
        shelf.clear()
        shelf.put(puts)
        before_us, length_us = span_us
        window = TimeRange(T0_US + before_us, T0_US + before_us + 4 * length_us)
        shelf.clock.advance_to(max([window.to_us, *(put.ingest_us + 1 for put in puts)]))
        condition = [] if record_id is None else [("id", record_id)]
        asked: dict[str, Any] = {"fixed" if is_fixed else "filters": condition}
        kept = [put for put in puts if record_id in {None, put.id}]
        expected = len(in_window(kept, window.from_us, window.to_us))
        first = shelf.page(window=window, count="exact", limit=1, descending=descending, **asked)
        assert first.count == Count(expected, "eq")
        if first.next_cursor is not None:
            assert shelf.page(cursor=first.next_cursor, count="exact", **asked).count == Count(expected, "eq")
        capped = shelf.page(window=window, count="capped", limit=1, **asked).count
        assert capped == (Count(expected, "eq") if expected < 3 else Count(3, "gte"))
        assert shelf.page(window=window, limit=1, **asked).count is None

    holds()
