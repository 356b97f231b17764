"""The stretches of time that an index covers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.stores.duckdb.row_index import Coverage

EDGES = st.tuples(st.integers(0, 12), st.integers(0, 12))


@given(st.lists(st.tuples(st.booleans(), EDGES), max_size=8), EDGES)
def test_a_coverage_is_the_set_of_its_instants(
    changes: list[tuple[bool, tuple[int, int]]], asked: tuple[int, int]
) -> None:
    """Ranges are added and removed in any order, and empty ones change nothing."""
    coverage, instants = Coverage(), set[int]()
    for is_added, (from_us, to_us) in changes:
        if is_added:
            coverage.add(from_us, to_us)
            instants |= {*range(from_us, to_us)}
        else:
            coverage.remove(from_us, to_us)
            instants -= {*range(from_us, to_us)}
    gaps = coverage.gaps(*asked)
    assert [us for gap in gaps for us in range(gap.from_us, gap.to_us)] == [
        us for us in range(*asked) if us not in instants
    ]
    assert all(one.to_us < following.from_us for one, following in pairwise(gaps)), "gaps do not touch"
    assert coverage.covers(*asked) == ({*range(*asked)} <= instants)
