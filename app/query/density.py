"""How dense rows lie, as far as pages have told: a hint at how long a first slice should be. Pure.

It decides how many queries a page takes and never which rows it has, so it may be wrong, and be forgotten.
"""

from collections import OrderedDict

from app.runtime.instants import HOUR_US

_KEPT = 256
_MARGIN = 1.25
# A poll must never read a day because the page before it was thin; from here on slices grow as they always do.
_LONGEST_US = 6 * HOUR_US


class Density:
    """Remembers, for each set of filters that was read with lately, how much time one row took up."""

    def __init__(self, empty_us: int = 0) -> None:
        """Have what follows an empty page read `empty_us` at least, so that polling what nothing meets is one query."""
        self._empty_us = empty_us
        self._us_per_row: OrderedDict[str, float] = OrderedDict()
        """0 where the last page was empty."""

    def slice_us(self, filters: str, rows: int, shortest_us: int) -> int:
        """Return how long a slice that has so many `rows` is likely to be: `shortest_us`, or up to six hours."""
        us_per_row = self._us_per_row.get(filters)
        if us_per_row is None:
            return shortest_us
        likely_us = round(us_per_row * rows * _MARGIN) if us_per_row else self._empty_us
        return max(shortest_us, min(likely_us, _LONGEST_US))

    def note(self, filters: str, covered_us: int, rows: int) -> None:
        """Take into account that a page found `rows` in a stretch of time; none says next to nothing."""
        self._us_per_row[filters] = covered_us / rows if rows else 0.0
        self._us_per_row.move_to_end(filters)
        if len(self._us_per_row) > _KEPT:
            self._us_per_row.popitem(last=False)
