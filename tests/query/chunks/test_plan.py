"""Which span is read next, and which queries chunks suit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.query.chunks.plan import Lengths, Sizes, is_far, suits
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from app.runtime.time_range import TimeRange
from app.schema.columns import Kind
from app.stores.query import Condition, RowQuery, poll_grid_us

SIZES = Sizes(target_rows=1_000, target_bytes=1_000_000, most_rows=2_000, most_bytes=2_000_000)
ANYWHERE = TimeRange(-(1 << 60), 1 << 60)
T0_US = 1_700_000_000 * SECOND_US


def after(*chunks: tuple[int, int, int]) -> Lengths:
    """Return the lengths after chunks of so many microseconds, rows and bytes."""
    lengths = Lengths(SIZES)
    for chunk in chunks:
        lengths.note(*chunk)
    return lengths


@pytest.mark.parametrize(
    ("chunk", "likely_us"),
    [
        ((64 * SECOND_US, 1_000, 100), 64 * SECOND_US),
        ((64 * SECOND_US, 2_000, 100), 32 * SECOND_US),
        ((64 * SECOND_US, 500, 2_000_000), 32 * SECOND_US),
        ((64 * SECOND_US, 500_000, 100), 8 * SECOND_US),
        ((10 * MINUTE_US, 0, 0), 80 * MINUTE_US),
        ((SECOND_US, 10, 100), 1 << 26),
    ],
    ids=["as it should be", "too many rows", "too many bytes", "far too many", "empty", "a short one says little"],
)
def test_the_next_chunk_is_nearer_to_the_target(chunk: tuple[int, int, int], likely_us: int) -> None:
    """By a factor of eight at most, in powers of two."""
    typical_us = after(chunk).typical_us
    assert typical_us.bit_count() == 1
    assert likely_us / 2 < typical_us <= likely_us


@given(
    at_us=st.integers(T0_US, T0_US + DAY_US),
    notes=st.lists(st.tuples(st.integers(1, DAY_US), st.integers(0, 10**6), st.integers(0, 10**9)), max_size=9),
    low_us=st.integers(1, HOUR_US),
    high_us=st.integers(1, HOUR_US),
    goes_on=st.booleans(),
)
def test_a_stretch_holds_its_instant_and_stays_in_its_gap(
    at_us: int, notes: list[tuple[int, int, int]], low_us: int, high_us: int, *, goes_on: bool
) -> None:
    """Its ends are on the grid, or those of the gap."""
    gap, lengths = TimeRange(at_us - low_us, at_us + high_us), after(*notes)
    span = lengths.span(at_us, gap, goes_on=goes_on)
    assert at_us in span
    assert gap.from_us <= span.from_us < span.to_us <= gap.to_us
    for end_us in (span.from_us, span.to_us):
        assert end_us in {gap.from_us, gap.to_us} or not end_us % min(lengths.typical_us, 1 << 31)


def test_where_nothing_nearby_tells_the_density_a_stretch_is_half_an_hour_at_most() -> None:
    """A table whose last day was empty may be dense elsewhere."""
    lengths = after(*((DAY_US, 0, 0),) * 3)
    jump, onward = (lengths.span(T0_US, ANYWHERE, goes_on=each) for each in (False, True))
    assert jump.to_us - jump.from_us == 1 << 31
    assert onward.to_us - onward.from_us == 1 << 37


QUERY = RowQuery(
    table="records", within=TimeRange(T0_US, T0_US + HOUR_US), lookback_us=900, columns=(), limit=1, candidates=1
)
FILTER = (Condition("id", (), "eq", Kind.STRING, ("a",)),)


@pytest.mark.parametrize(
    ("conditions", "horizon_us", "lookback_us", "likely_bytes", "expected"),
    [
        ((), QUERY.within.to_us, 900, 1e12, True),
        ((), QUERY.within.to_us - 1, 900, 1, False),
        ((), QUERY.within.to_us, 901, 1, False),
        (FILTER, QUERY.within.to_us, 900, 500, True),
        (FILTER, QUERY.within.to_us, 900, 501, False),
    ],
    ids=["settled", "not settled", "another look-back", "a filter", "a filter of more than half the budget"],
)
def test_chunks_suit_what_is_settled_and_would_be_kept(
    conditions: tuple[Condition, ...], horizon_us: int, lookback_us: int, likely_bytes: float, *, expected: bool
) -> None:
    """A filter may have to read everything; without one a page stops when it is full."""
    query = msgspec.structs.replace(QUERY, conditions=conditions)
    assert suits(query, horizon_us, lookback_us, likely_bytes, 1_000) is expected


def test_a_gap_hardly_longer_than_a_stretch_is_read_whole() -> None:
    """Wherever it lies: in two parts, it would cost two queries."""
    lengths = Lengths(SIZES)
    length_us = lengths.typical_us
    gap = TimeRange(T0_US + length_us // 3, T0_US + length_us // 3 + length_us * 3 // 2)
    assert lengths.span(gap.from_us, gap, goes_on=True) == gap
    longer = TimeRange(gap.from_us, gap.to_us + 1)
    assert lengths.span(gap.from_us, longer, goes_on=True).to_us % length_us == 0


def test_the_store_reads_what_would_take_more_than_eight_chunks() -> None:
    """As far as their length is known."""
    assert [is_far(ahead_us, 10) for ahead_us in (80, 81)] == [False, True]


@pytest.mark.parametrize(("poll_s", "grid_s"), [(5.0, 8.388608), (1.0, 1.048576), (60.0, 67.108864)])
def test_readers_of_one_poll_share_a_horizon(poll_s: float, grid_s: float) -> None:
    """On the grid, so that spans end there."""
    assert poll_grid_us(round(poll_s * SECOND_US)) == round(grid_s * SECOND_US)
    assert [poll_grid_us(poll_us) for poll_us in (0, 1, 2, 3, 4, 5)] == [1, 1, 2, 4, 4, 8]
