"""Recently stored results by key; the oldest are forgotten when they are too old or too heavy together. Pure.

The map consists of small shards, since resizing a dictionary of hundreds of thousands of entries blocks everything for
many milliseconds. Each key takes little memory, because writing to memory outside the processor's cache is slow. Keys
with the same time and value share one entry. A TTLCache of cachetools takes five times the memory and three times the
time, and its tables grow in one step (docs/decisions/0013).
"""

from collections import deque
from typing import Generic, TypeVar

import msgspec

Value = TypeVar("Value")
_WEIGHT_OF_A_SHARD, _MOST_SHARDS = 25_000, 256  # the longest result of a request weighs 20,000


class Entry(msgspec.Struct, Generic[Value], frozen=True, gc=False):
    """The value of some keys, when it was stored (microseconds), and its weight for each key."""

    at_us: int
    weight: int
    value: Value


class Memory(Generic[Value]):
    """Remembers values by key, up to `max_weight` in total, of which each shard has an equal part.

    The newest entry of a shard stays, whatever its weight.
    """

    def __init__(self, max_weight: int) -> None:
        self._count = min(max(max_weight // _WEIGHT_OF_A_SHARD, 1), _MOST_SHARDS)
        self._max_weight = max_weight // self._count
        self._shards: list[dict[str, Entry[Value]]] = [{} for _ in range(self._count)]
        # A dictionary keeps this order too, but each deletion makes it slower to find its first key.
        self._oldest_first: list[deque[str]] = [deque() for _ in range(self._count)]
        self._weights = [0] * self._count
        self._latest: Entry[Value] | None = None

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return sum(map(len, self._shards))

    @property
    def weight(self) -> int:
        """The total weight of all keys."""
        return sum(self._weights)

    def get(self, key: str) -> Entry[Value] | None:
        """Return the entry of `key`, or None."""
        return self._shards[hash(key) % self._count].get(key)

    def put(self, key: str, value: Value, at_us: int, weight: int) -> None:
        """Remember `value` in place of the previous value of `key`; forget the oldest if the weight is too much."""
        entry = self._latest
        if entry is None or entry.value is not value or entry.at_us != at_us or entry.weight != weight:
            entry = self._latest = Entry(at_us, weight, value)
        place = hash(key) % self._count
        shard, order, weights = self._shards[place], self._oldest_first[place], self._weights
        if key in shard:
            order.remove(key)  # slow but rare: a remembered key is not stored again
            weights[place] -= shard[key].weight
        shard[key] = entry
        order.append(key)
        weights[place] += weight
        while weights[place] > self._max_weight and len(order) > 1:
            self._forget_oldest(place)

    def forget_before(self, at_us: int) -> None:
        """Forget everything remembered before `at_us`."""
        for place, (shard, order) in enumerate(zip(self._shards, self._oldest_first, strict=True)):
            while order and shard[order[0]].at_us < at_us:
                self._forget_oldest(place)

    def _forget_oldest(self, place: int) -> None:
        self._weights[place] -= self._shards[place].pop(self._oldest_first[place].popleft()).weight
