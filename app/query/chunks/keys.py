"""The delivery keys of the rows read last, by which the copies of the next ones are told without the look-back.

A key is known by 128 bits of its BLAKE2b hash: among a million keys, two are taken for one with a chance of 1e-27. A
segment holds the keys of every row of one span, copies included.
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from struct import unpack

from app.runtime.time_range import TimeRange
from app.stores.query import Position

KEY_BYTES = 24  # two halves of a hash, and an instant


class RowKeys(TimeRange, frozen=True):
    """The keys of all rows stamped in a range, in order: both halves of each hash, and the row's instant."""

    low: array  # type: ignore[type-arg] # of unsigned integers of 64 bits
    high: array  # type: ignore[type-arg]
    stamps_us: array  # type: ignore[type-arg]


def keys_of(span: TimeRange, places: Sequence[Position]) -> RowKeys:
    """Return the segment of the rows of a span, which are at `places`, in order."""
    low, high = array("Q"), array("Q")
    for place in places:
        first, second = unpack("=QQ", blake2b(place.delivery_key.encode(), digest_size=16).digest())
        low.append(first)
        high.append(second)
    return RowKeys(span.from_us, span.to_us, low, high, array("q", [place.ingest_us for place in places]))


class RecentKeys:
    """The segments of all tables, which never overlap: at most `max_keys` keys; those used least recently go first."""

    def __init__(self, max_keys: int) -> None:
        self.max_keys, self._size = max_keys, 0
        self._kept: OrderedDict[tuple[str, int], RowKeys] = OrderedDict()
        """By the table, and the instant after the segment."""

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self._size

    def before(self, table: str, at_us: int, lookback_us: int) -> list[RowKeys] | None:
        """Return the segments with all rows of the look-back before `at_us`, newest first; None if one is missing."""
        segments, reached_us = list[RowKeys](), at_us
        while reached_us > at_us - lookback_us:
            segment = self._kept.get((table, reached_us))
            if segment is None:
                return None
            self._kept.move_to_end((table, reached_us))
            segments.append(segment)
            reached_us = segment.from_us
        return segments

    def add(self, table: str, segment: RowKeys) -> None:
        """Keep a segment, instead of those that it overlaps."""
        for key, kept in [*self._kept.items()]:
            if key[0] == table and kept.from_us < segment.to_us and kept.to_us > segment.from_us:
                self._size -= len(self._kept.pop(key).low)
        self._kept[table, segment.to_us] = segment
        self._size += len(segment.low)
        while self._size > self.max_keys:
            _, evicted = self._kept.popitem(last=False)
            self._size -= len(evicted.low)

    def clear(self) -> None:
        """Drop everything."""
        self._kept.clear()
        self._size = 0


def copies_in(segment: RowKeys, earlier: Sequence[RowKeys], lookback_us: int) -> list[bool]:
    """Return of each row of a segment whether a row before it has its key, within the look-back.

    `earlier` are the segments with all rows of the look-back before the segment. Of equal rows, the first counts.
    """
    previous = _previous(set(segment.low), earlier)
    flags = []
    for low, high, stamp_us in zip(segment.low, segment.high, segment.stamps_us, strict=True):
        last_us = previous.get((low, high))
        flags.append(last_us is not None and stamp_us - last_us <= lookback_us)
        previous[low, high] = stamp_us
    return flags


def _previous(lower_halves: set[int], earlier: Sequence[RowKeys]) -> dict[tuple[int, int], int]:
    """Return the last instant of each key whose lower half is wanted; `earlier` is newest first."""
    latest_us = dict[tuple[int, int], int]()
    for segment in earlier:
        if lower_halves.isdisjoint(segment.low):
            continue
        for low, high, stamp_us in zip(segment.low, segment.high, segment.stamps_us, strict=True):
            if low in lower_halves:
                latest_us[low, high] = max(stamp_us, latest_us.get((low, high), stamp_us))
    return latest_us
