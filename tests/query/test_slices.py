"""Slices cover a window exactly, and there are few of them."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from app.query.read.slices import cut, feed_slices
from app.runtime.instants import DAY_US, HOUR_US, MAX_US, MIN_US, MINUTE_US, SECOND_US, TimeRange


@st.composite
def _windows(draw: st.DrawFn) -> tuple[int, int]:
    since_us = draw(st.integers(MIN_US, MAX_US))
    return since_us, min(since_us + draw(st.integers(0, 31 * DAY_US)), MAX_US)


def _check_cover(slices: Iterator[TimeRange], since_us: int, until_us: int, *, descending: bool) -> int:
    found = list(slices)
    ordered = found[::-1] if descending else found
    at_us = since_us
    for part in ordered:
        assert part.from_us == at_us < part.to_us
        at_us = part.to_us
    assert at_us == until_us
    return len(found)


def _feed(since_us: int, until_us: int, *, descending: bool) -> Iterator[TimeRange]:
    return feed_slices(TimeRange(since_us, until_us), descending=descending, first_us=10 * SECOND_US)


def _hourly(since_us: int, until_us: int, *, descending: bool) -> Iterator[TimeRange]:
    return feed_slices(TimeRange(since_us, until_us), descending=descending, first_us=MINUTE_US, partition_us=HOUR_US)


@given(window=_windows(), descending=st.booleans())
def test_slices_of_the_feed_cover_the_window(window: tuple[int, int], *, descending: bool) -> None:
    """They follow each other without a gap or an overlap, and a month has three dozen."""
    assert _check_cover(_feed(*window, descending=descending), *window, descending=descending) <= 37


@given(window=_windows(), descending=st.booleans())
def test_slices_end_where_partitions_do(window: tuple[int, int], *, descending: bool) -> None:
    """So none is read twice; and a month still has three dozen slices."""
    slices = list(_hourly(*window, descending=descending))
    assert _check_cover(iter(slices), *window, descending=descending) <= 36
    inner = {edge for part in slices for edge in (part.from_us, part.to_us)} - set(window)
    assert all(edge % HOUR_US == 0 for edge in inner)


@given(
    window=_windows(),
    descending=st.booleans(),
    unit_us=st.sampled_from([1, HOUR_US, DAY_US]) | st.integers(1, 2 * DAY_US),
)
def test_pieces_of_a_slice_cover_it(window: tuple[int, int], unit_us: int, *, descending: bool) -> None:
    """There are at most six, cut at multiples of the unit; none where the slice lies within one."""
    pieces = cut(TimeRange(*window), descending=descending, unit_us=unit_us)
    touched = -(-window[1] // unit_us) - window[0] // unit_us
    assert bool(pieces) == (touched > 1)
    if pieces:
        assert 2 <= _check_cover(iter(pieces), *window, descending=descending) <= 6
        edges = {edge for piece in pieces for edge in (piece.from_us, piece.to_us)} - set(window)
        assert all(edge % unit_us == 0 for edge in edges)
        counts = [-(-piece.to_us // unit_us) - piece.from_us // unit_us for piece in pieces]
        assert set(counts[:-1]) == {-(-touched // 6)}
        assert counts[-1] <= counts[0]
