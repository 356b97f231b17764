"""Which ranges of all tables are loaded, which to load for a query, and which to drop first. Pure."""

from bisect import bisect_right, insort
from collections import OrderedDict, defaultdict
from collections.abc import Iterator

import msgspec

from app.runtime.instants import DAY_US, MAX_US, MIN_US, MINUTE_US, SECOND_US, TimeRange


class Loaded(msgspec.Struct, eq=False):
    """A range of which every original is loaded; `is_loaded` is False from the moment that any may be missing."""

    table: str
    within: TimeRange
    rows: int
    size: int
    due_us: int
    is_loaded: bool = True


class Ranges:
    """Disjoint ranges; each is dropped at its `due_us`."""

    def __init__(self) -> None:
        self.size = 0
        self._loaded: OrderedDict[tuple[str, int], Loaded] = OrderedDict()
        """By table and first instant, least recently used first."""
        self._starts: defaultdict[str, list[int]] = defaultdict(list)

    def find(self, table: str, at_us: int) -> Loaded | None:
        """Return the range that holds an instant, and mark it as used."""
        starts = self._starts[table]
        place = bisect_right(starts, at_us) - 1
        found = self._loaded[table, starts[place]] if place >= 0 else None
        if found is None or at_us not in found.within:
            return None
        self._loaded.move_to_end((table, found.within.from_us))
        return found

    def run(self, table: str, within: TimeRange, *, descending: bool = False) -> Iterator[Loaded]:
        """Yield the ranges without a gap between them from the first instant of `within`, or from the last one."""
        at_us = within.to_us - 1 if descending else within.from_us
        while at_us in within and (found := self.find(table, at_us)) is not None:
            yield found
            at_us = found.within.from_us - 1 if descending else found.within.to_us

    def covering(self, table: str, within: TimeRange) -> list[Loaded] | None:
        """Return the ranges that hold all of `within`, or None if some of it is not loaded."""
        found = [*self.run(table, within)]
        return found if within.length_us <= 0 or (found and found[-1].within.to_us >= within.to_us) else None

    def gap(self, table: str, at_us: int) -> TimeRange:
        """Return the range around an instant that is not loaded."""
        starts = self._starts[table]
        place = bisect_right(starts, at_us)
        low_us = self._loaded[table, starts[place - 1]].within.to_us if place else MIN_US
        return TimeRange(low_us, starts[place] if place < len(starts) else MAX_US)

    def add(self, loaded: Loaded) -> None:
        """Add a range that overlaps none."""
        self._loaded[loaded.table, loaded.within.from_us] = loaded
        insort(self._starts[loaded.table], loaded.within.from_us)
        self.size += loaded.size

    def drop(self, elapsed_us: int, max_bytes: int) -> list[Loaded]:
        """Drop what is due, and what exceeds `max_bytes`; return it."""
        dropped = [each for each in self._loaded.values() if each.due_us <= elapsed_us]
        for each in dropped:
            self._drop(each)
        while self.size > max_bytes and self._loaded:
            dropped.append(self._drop(next(iter(self._loaded.values()))))
        return dropped

    def clear(self) -> None:
        """Drop everything."""
        for each in [*self._loaded.values()]:
            self._drop(each)

    def _drop(self, loaded: Loaded) -> Loaded:
        loaded.is_loaded = False
        self.size -= loaded.size
        del self._loaded[loaded.table, loaded.within.from_us]
        self._starts[loaded.table].remove(loaded.within.from_us)
        return loaded


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
