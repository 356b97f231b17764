"""Slices cover a window exactly, and there are few of them."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.instants import DAY_US, HOUR_US, MAX_US, MIN_US, SECOND_US
from app.query.slices import Slice, cut, feed_slices, look_up_slices


@st.composite
def _windows(draw: st.DrawFn) -> tuple[int, int]:
    since_us = draw(st.integers(MIN_US, MAX_US))
    return since_us, min(since_us + draw(st.integers(0, 31 * DAY_US)), MAX_US)


def _check_cover(slices: Iterator[Slice], since_us: int, until_us: int, *, descending: bool) -> int:
    found = list(slices)
    ordered = found[::-1] if descending else found
    at_us = since_us
    for part in ordered:
        assert part.from_us == at_us < part.to_us
        at_us = part.to_us
    assert at_us == until_us
    return len(found)


def _feed(since_us: int, until_us: int, *, descending: bool) -> Iterator[Slice]:
    return feed_slices(since_us, until_us, descending=descending, first_us=10 * SECOND_US)


@given(window=_windows(), descending=st.booleans())
def test_slices_of_the_feed_cover_the_window(window: tuple[int, int], *, descending: bool) -> None:
    """They follow each other without a gap or an overlap, and a month has three dozen."""
    assert _check_cover(_feed(*window, descending=descending), *window, descending=descending) <= 37


@given(window=_windows())
def test_slices_of_a_look_up_cover_the_window(window: tuple[int, int]) -> None:
    """They run backwards over the whole window."""
    _check_cover(look_up_slices(*window, first_us=HOUR_US), *window, descending=True)


@pytest.mark.parametrize("descending", [False, True])
def test_slices_grow_from_the_first_to_a_day(*, descending: bool) -> None:
    """Each is six times as long as the one before; the last is what remains."""
    lengths = [part.to_us - part.from_us for part in _feed(0, 3 * DAY_US, descending=descending)]
    assert lengths[:6] == [10 * SECOND_US * 6**power for power in range(6)]
    assert lengths[6] == DAY_US
    assert sum(lengths) == 3 * DAY_US


@given(window=_windows(), descending=st.booleans(), shortest_us=st.integers(1, 2 * DAY_US))
def test_pieces_of_a_slice_cover_it(window: tuple[int, int], shortest_us: int, *, descending: bool) -> None:
    """There are at most six, each shorter than the slice; none where it is as short as slices get."""
    pieces = cut(Slice(*window), descending=descending, shortest_us=shortest_us)
    length_us = window[1] - window[0]
    assert bool(pieces) == (length_us > shortest_us)
    if pieces:
        assert 2 <= _check_cover(iter(pieces), *window, descending=descending) <= 6
        lengths = [piece.to_us - piece.from_us for piece in pieces]
        assert all(length == max(-(-length_us // 6), shortest_us) for length in lengths[:-1])


@pytest.mark.parametrize(
    ("descending", "edges_h"), [(False, [(0, 4), (4, 8), (8, 10)]), (True, [(6, 10), (2, 6), (0, 2)])]
)
def test_pieces_are_no_shorter_than_is_worth_a_query(edges_h: list[tuple[int, int]], *, descending: bool) -> None:
    """But for the last one to be read, which is what remains."""
    pieces = cut(Slice(0, 10 * HOUR_US), descending=descending, shortest_us=4 * HOUR_US)
    assert [(piece.from_us // HOUR_US, piece.to_us // HOUR_US) for piece in pieces] == edges_h


def test_a_look_up_over_the_whole_retention_takes_few_slices() -> None:
    """By id they grow without a limit, so that 400 days are seven queries."""
    slices = list(look_up_slices(0, 400 * DAY_US, first_us=HOUR_US))
    assert slices[0] == Slice(400 * DAY_US - HOUR_US, 400 * DAY_US)
    assert len(slices) == 7
