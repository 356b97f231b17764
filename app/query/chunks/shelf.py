"""The chunks at hand: of all tables together, at most `max_bytes`; those used least recently go first."""

from bisect import bisect_right, insort
from collections import OrderedDict, defaultdict
from collections.abc import Callable

import msgspec

from app.query.chunks.chunk import Chunk
from app.query.chunks.keys import KEY_BYTES, RecentKeys
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import MAX_US, MIN_US
from app.runtime.time_range import TimeRange


class _Kept(msgspec.Struct):
    chunk: Chunk
    due_us: int


class Shelf:
    """Keeps chunks, which never overlap, and in `keys`, in half as much memory again, keys. It is for one event loop.

    They are dropped `ttl_s` after they were read, and all of them when `erasures` returns another number, since an
    erased record may be among them.
    """

    def __init__(self, max_bytes: int, clock: Clock, *, ttl_s: float, erasures: Callable[[], int]) -> None:
        self.max_bytes, self.size = max_bytes, 0
        self.keys = RecentKeys(max_bytes // 2 // KEY_BYTES)
        self._clock, self._ttl_us = clock, round(ttl_s * MICROSECONDS)
        self._erasures, self._seen_erasures = erasures, erasures()
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()
        self._starts: defaultdict[str, list[int]] = defaultdict(list)

    @property
    def generation(self) -> int:
        """The number of erasures; a chunk whose reading began under another one must not be kept."""
        self._forget_erased()
        return self._seen_erasures

    def __len__(self) -> int:
        """Return how many chunks there are."""
        return len(self._kept)

    def find(self, table: str, at_us: int) -> Chunk | None:
        """Return the chunk of a table that holds the instant `at_us`, or None."""
        starts = self._of(table)
        place = bisect_right(starts, at_us) - 1
        if place < 0:
            return None
        key = (table, starts[place])
        kept = self._kept[key]
        if at_us >= kept.chunk.to_us:
            return None
        if self._clock.elapsed_us() >= kept.due_us:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.chunk

    def gap(self, table: str, at_us: int) -> TimeRange:
        """Return the span around `at_us` in which no chunk is."""
        starts = self._of(table)
        place = bisect_right(starts, at_us)
        low_us = self._kept[table, starts[place - 1]].chunk.to_us if place else MIN_US
        return TimeRange(low_us, starts[place] if place < len(starts) else MAX_US)

    def add(self, table: str, chunk: Chunk) -> None:
        """Keep a chunk, if there is room for it at all."""
        if chunk.size > self.max_bytes:
            return
        key = (table, chunk.from_us)
        self._kept[key] = _Kept(chunk, self._clock.elapsed_us() + self._ttl_us)
        insort(self._starts[table], chunk.from_us)
        self.size += chunk.size
        while self.size > self.max_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Drop everything."""
        self._kept.clear()
        self._starts.clear()
        self.keys.clear()
        self.size = 0

    def _of(self, table: str) -> list[int]:
        """Return where the chunks of a table begin."""
        self._forget_erased()
        return self._starts[table]

    def _forget_erased(self) -> None:
        if self._erasures() != self._seen_erasures:
            self._seen_erasures = self._erasures()
            self.clear()

    def _drop(self, key: tuple[str, int]) -> None:
        table, from_us = key
        self.size -= self._kept.pop(key).chunk.size
        self._starts[table].remove(from_us)
