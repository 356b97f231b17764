"""Decide which range of a table to load for a query. Pure."""

from app.runtime.instants import DAY_US, MINUTE_US, SECOND_US
from app.runtime.time_range import TimeRange

MOST_LOADS = 4  # for one query; the store answers the rest by itself
_LONGEST_JUMP_US = 30 * MINUTE_US  # where nothing nearby tells the density: no query reads a dense day by mistake
_STEP = 8
_HARDLY_LONGER = 1.5  # so that the rows of a range of the target size still fit into one load


class Lengths:
    """The length of the next load of a table, by the density of those before: about `target_bytes`."""

    def __init__(self, target_bytes: int) -> None:
        self._target_bytes, self._typical_us = target_bytes, MINUTE_US

    def likely_bytes(self, length_us: int) -> float:
        """Return about how many bytes the rows of so much time have."""
        return length_us / self._typical_us * self._target_bytes

    def is_far(self, length_us: int) -> bool:
        """Return whether a range is too long to be loaded for one query."""
        return length_us > _STEP * self._typical_us

    def span(self, at_us: int, gap: TimeRange, *, descending: bool, goes_on: bool) -> TimeRange:
        """Return the range to load for the rows at `at_us`, where nothing in `gap` is loaded.

        `goes_on` says that the query has loaded what is next to it: only then may it be longer than half an hour. A gap
        that is hardly longer is loaded whole, since new rows cost the same in one query or two.
        """
        length_us = self._typical_us if goes_on else min(self._typical_us, _LONGEST_JUMP_US)
        if gap.length_us <= _HARDLY_LONGER * length_us:
            return gap
        if descending:
            return TimeRange(max(at_us + 1 - length_us, gap.from_us), min(at_us + 1, gap.to_us))
        return TimeRange(max(at_us, gap.from_us), min(at_us + length_us, gap.to_us))

    def note(self, covered_us: int, size: float) -> None:
        """Record a load; the next ones are more like the target, by a factor of eight at most."""
        share = size / self._target_bytes
        likely_us = covered_us / min(max(share, 1 / _STEP), _STEP)
        if share < 1 / _STEP:  # a short one with few rows says only that the next may be longer
            likely_us = max(likely_us, self._typical_us)
        self._typical_us = round(min(max(likely_us, SECOND_US / 1_000), DAY_US))
