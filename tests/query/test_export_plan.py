"""How an export is cut into queries."""

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.query.answer.export import ChunkSizer, CountedRanges
from app.runtime.time_range import TimeRange

_FIRST_US = 1_000
# Few rows and many with one stamp, close together and far apart.
_ROWS = st.lists(
    st.tuples(st.sampled_from([0, 1, 999, 1_000, 50_000, 10_000_000]), st.sampled_from([1, 2, 7, 30])), max_size=12
)


class Counts:
    """Counts rows that lie at certain instants, and how often it was asked."""

    def __init__(self, stamps: Counter[int]) -> None:
        self.stamps, self.asked = stamps, 0

    async def __call__(self, part: TimeRange, width_us: int) -> list[tuple[int, int]]:
        self.asked += 1
        found = Counter[int]()
        for stamp_us, rows in self.stamps.items():
            if part.from_us <= stamp_us < part.to_us:
                found[(stamp_us - part.from_us) // width_us] += rows
        return sorted(found.items())


def run(work: Any) -> Any:
    """Run a coroutine that waits for nothing."""
    try:
        while True:
            work.send(None)
    except StopIteration as end:
        return end.value


def placed(rows: list[tuple[int, int]]) -> Counter[int]:
    """Return how many rows lie at each instant."""
    at_us, found = 0, Counter[int]()
    for step_us, count in rows:
        at_us += step_us
        found[at_us] += count
    return found


@given(rows=_ROWS, limits=st.lists(st.integers(1, 20), min_size=1), end_us=st.integers(0, 2**30), down=st.booleans())
def test_stretches_hold_every_row_once_and_in_order(
    rows: list[tuple[int, int]], limits: list[int], end_us: int, *, down: bool
) -> None:
    """None of them holds more rows than allowed, but where they share a stamp."""
    stamps = placed(rows)
    stretches = CountedRanges(Counts(stamps), TimeRange(0, end_us), descending=down, first_us=_FIRST_US)
    held, edge_us = Counter[int](), end_us if down else 0
    while stretch := run(stretches.next(limit := limits[held.total() % len(limits)])):
        assert stretch.from_us < stretch.to_us
        assert (stretch.to_us <= edge_us) if down else (edge_us <= stretch.from_us)
        edge_us = stretch.from_us if down else stretch.to_us
        inside = Counter({at: count for at, count in stamps.items() if stretch.from_us <= at < stretch.to_us})
        assert stretch.rows == inside.total()
        assert stretch.rows <= limit or len(inside) == 1
        held += inside
    assert held == Counter({at: count for at, count in stamps.items() if at < end_us})


def test_the_pace_goes_by_what_the_rows_came_to() -> None:
    """It begins slowly, grows as long as there is room, and gives way at once."""
    pace, seen = ChunkSizer(50_000), list[int]()
    for row_bytes in (100, 100, 100, 100, 100, 100, 100_000, 100):
        seen.append(pace.rows)
        pace.note(pace.rows, pace.rows * row_bytes)
    assert seen == [100, 400, 1_600, 6_400, 20_000, 20_000, 20_000, 20]
