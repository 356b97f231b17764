"""Decide which span of a table becomes the next chunk, and whether chunks suit a query. Pure.

Spans are aligned to a grid of powers of two, so that readers of one time read the same chunks. Their length follows
the density of rows, as far as it is known nearby.
"""

import msgspec

from app.runtime.time_range import TimeRange
from app.stores.query import RowQuery

MOST_READS = 4  # chunks read for one query; a store answers the rest by itself
_FIRST, _SHORTEST, _LONGEST = 1 << 26, 1 << 10, 1 << 37  # microseconds: a minute, a millisecond, a day and a half
_LONGEST_JUMP = 1 << 31  # half an hour, where nothing nearby tells the density: no query reads a dense day by mistake
_STEP = 8
_HARDLY_LONGER = 1.5  # so that the rows of a span of the target size still fit into one query
FINE_GRID_US = 1 << 18
"""How far apart horizons may be that stand still between polls anyway: a quarter of a second."""


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How large a chunk should be, and the most that one query for a chunk may return.

    One append, whose rows share a stamp, has up to 10 MB. The most is more than that, so that reading gets on. Whatever
    is read at the head pays for all rows that are not clustered yet, so a chunk there should last for a poll.
    """

    target_rows: int = 16_000
    target_bytes: int = 16_000_000
    most_rows: int = 25_000
    most_bytes: int = 25_000_000


DEFAULT_SIZES = Sizes()


class Lengths:
    """The length of the next chunk of a table, by those read so far."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes, self._typical_us = sizes, _FIRST

    @property
    def typical_us(self) -> int:
        """How long the next chunk should be, where rows are as dense as in the last one."""
        return self._typical_us

    def likely_bytes(self, length_us: int) -> float:
        """Return about how many bytes the rows of so much time have."""
        return length_us / self._typical_us * self._sizes.target_bytes

    def span(self, at_us: int, gap: TimeRange, *, goes_on: bool) -> TimeRange:
        """Return the span to read for the rows at `at_us`, where nothing in `gap` is at hand.

        `goes_on` says that the reader has just read up to there: only then may it be longer than half an hour. A gap
        that is hardly longer than a span is read whole, wherever it lies, as a query of new rows costs the same.
        """
        length_us = self._typical_us if goes_on else min(self._typical_us, _LONGEST_JUMP)
        if gap.length_us <= _HARDLY_LONGER * length_us:
            return gap
        begin_us = at_us // length_us * length_us
        return TimeRange(max(begin_us, gap.from_us), min(begin_us + length_us, gap.to_us))

    def note(self, covered_us: int, rows: int, size: int) -> None:
        """Record a chunk; the next ones are more like the target, by a factor of eight at most."""
        share = max(rows / self._sizes.target_rows, size / self._sizes.target_bytes)
        likely_us = covered_us / min(max(share, 1 / _STEP), _STEP)
        if share < 1 / _STEP:  # a short one with few rows says only that the next may be longer
            likely_us = max(likely_us, self._typical_us)
        self._typical_us = _power_of_two(min(max(likely_us, _SHORTEST), _LONGEST))


def _power_of_two(length_us: float) -> int:
    """Return the largest power of two that is not longer."""
    return 1 << (int(length_us).bit_length() - 1)


def suits(query: RowQuery, horizon_us: int, lookback_us: int, likely_bytes: float, budget_bytes: int) -> bool:
    """Return whether chunks may answer `query`: it is settled, and what a filter reads through would be kept.

    `likely_bytes` is the size of all rows of its range. Without conditions a page stops when it is full; with them it
    may have to read everything.
    """
    if query.within.to_us > horizon_us or query.lookback_us != lookback_us:
        return False
    return not query.conditions or likely_bytes <= budget_bytes / 2


def is_far(ahead_us: int, typical_us: int) -> bool:
    """Return whether the rest of a range is too long for chunks, each of which is likely `typical_us` long."""
    return ahead_us > _STEP * typical_us
