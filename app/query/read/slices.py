"""Cut a window into slices, so that a page reads no more of the table than it needs.

The row density is unknown, so the first slice is short and each next one is several times as long, up to a limit. The
store is queried slice by slice until the page is full. If rows are dense, the first slice has them all; an idle month
takes three dozen queries. If rows are so dense that the store refuses to read a long slice, that slice is cut, and the
next ones are tried as planned.

A partition is the unit that a store reads as a whole, whatever part of it a query needs: BigQuery's tables have one per
hour. So slices end at partition boundaries, and no two of them pay for the same partition. (To find copies, a query
also reads the quarter of an hour before its slice.)
"""

from collections.abc import Iterator
from itertools import pairwise

from cachetools import LRUCache

from app.runtime.instants import DAY_US, HOUR_US, TimeRange

_GROWTH = 6
_KEPT = 256
_MARGIN = 1.25
# A poll must never read a whole day because the previous page was sparse; beyond this, slices grow as usual.
_LONGEST_US = 6 * HOUR_US


def feed_slices(
    whole: TimeRange, *, descending: bool, first_us: int, partition_us: int = 1, longest_us: int | None = DAY_US
) -> Iterator[TimeRange]:
    """Yield the slices of `whole` in reading order.

    The first is as long as `first_us`, the length considered worth a query (`ReadProfile.first_slice_us`), extended to
    the end of its last partition. The next ones grow up to `longest_us`, each of whole partitions.
    """
    since_us, until_us, length_us = whole.from_us, whole.to_us, first_us
    while since_us < until_us:
        if descending:
            edge_us = max((until_us - length_us) // partition_us * partition_us, since_us)
            part, until_us = TimeRange(edge_us, until_us), edge_us
        else:
            edge_us = min(-(-(since_us + length_us) // partition_us) * partition_us, until_us)
            part, since_us = TimeRange(since_us, edge_us), edge_us
        yield part
        # Grow by the length covered: after the last minute of a partition comes one partition, not six.
        length_us = max(part.length_us * _GROWTH, partition_us)
        if longest_us is not None:
            length_us = min(length_us, longest_us)


def cut(part: TimeRange, *, descending: bool, unit_us: int, most: int = _GROWTH) -> list[TimeRange]:
    """Return the pieces of a slice that is too large for one query, in reading order.

    Cuts are at multiples of `unit_us` only: a partition, or the length worth a query. There are at most `most` pieces,
    all of the same number of units except the last. A slice within one unit has none.
    """
    first, beyond = part.from_us // unit_us, -(-part.to_us // unit_us)
    count = max(-(-(beyond - first) // most), 1)
    if descending:
        inner = [number * unit_us for number in range(beyond - count, first, -count)][::-1]
    else:
        inner = [number * unit_us for number in range(first + count, beyond, count)]
    if not inner:
        return []
    edges = [part.from_us, *inner, part.to_us]
    pieces = [TimeRange(*each) for each in pairwise(edges)]
    return pieces[::-1] if descending else pieces


class Density:
    """Remembers the time span per row for each recently used set of filters: a hint for the length of the first slice.

    It affects how many queries a page takes, never which rows it has. So it may be wrong, and may be discarded.
    """

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
