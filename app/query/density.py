"""Row density observed on earlier pages: a hint for the length of the first slice. Pure.

It affects how many queries a page takes, never which rows it has. So it may be wrong, and may be discarded.
"""

from cachetools import LRUCache

from app.runtime.instants import HOUR_US

_KEPT = 256
_MARGIN = 1.25
# A poll must never read a whole day because the previous page was sparse; beyond this, slices grow as usual.
_LONGEST_US = 6 * HOUR_US


class Density:
    """Remembers the time span per row for each recently used set of filters."""

    def __init__(self, empty_us: int = 0) -> None:
        """Read at least `empty_us` after an empty page, so that polling with filters no row matches is one query."""
        self._empty_us = empty_us
        self._us_per_row: LRUCache[str, float] = LRUCache(_KEPT)
        """0 where the last page was empty."""

    def slice_us(self, filters: str, rows: int, shortest_us: int) -> int:
        """Return the likely length of a slice with so many `rows`: `shortest_us`, or up to six hours."""
        us_per_row = self._us_per_row.get(filters)
        if us_per_row is None:
            return shortest_us
        likely_us = round(us_per_row * rows * _MARGIN) if us_per_row else self._empty_us
        return max(shortest_us, min(likely_us, _LONGEST_US))

    def note(self, filters: str, covered_us: int, rows: int) -> None:
        """Record that a page found `rows` in a time range; an empty page says almost nothing about density."""
        self._us_per_row[filters] = covered_us / rows if rows else 0.0
