"""What was stored lately, by key: the oldest go first, when they are too old or when it becomes too much. Pure.

In shards, each small: a dictionary of hundreds of thousands of entries holds up everything for many milliseconds
whenever it is laid out anew. And small for each key, as it is in no processor's cache when it is written: what came at
one moment with one value is one entry for all of these keys.
"""

from collections import deque
from typing import Generic, TypeVar

import msgspec

Value = TypeVar("Value")
_WEIGHT_OF_A_SHARD, _MOST_SHARDS = 25_000, 256  # the longest result of a request weighs 20,000


class Entry(msgspec.Struct, Generic[Value], frozen=True, gc=False):
    """What is remembered with some keys, since when (microseconds), and how much it weighs for each."""

    at_us: int
    weight: int
    value: Value


class Memory(Generic[Value]):
    """Remembers values by key, of at most `max_weight` together; each shard has its part of that.

    The newest of a shard stays whatever it weighs.
    """

    def __init__(self, max_weight: int) -> None:
        self._count = min(max(max_weight // _WEIGHT_OF_A_SHARD, 1), _MOST_SHARDS)
        self._max_weight = max_weight // self._count
        self._shards: list[dict[str, Entry[Value]]] = [{} for _ in range(self._count)]
        # A dictionary knows this order too, but takes the longer to find its first key the more were deleted there.
        self._oldest_first: list[deque[str]] = [deque() for _ in range(self._count)]
        self._weights = [0] * self._count
        self._latest: Entry[Value] | None = None

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return sum(map(len, self._shards))

    @property
    def weight(self) -> int:
        """How much all of it weighs."""
        return sum(self._weights)

    def get(self, key: str) -> Entry[Value] | None:
        """Return what is remembered of `key`."""
        return self._shards[hash(key) % self._count].get(key)

    def put(self, key: str, value: Value, at_us: int, weight: int) -> None:
        """Remember `value`, in the place of what was remembered of `key`; forget the oldest where it is too much."""
        entry = self._latest
        if entry is None or entry.value is not value or entry.at_us != at_us or entry.weight != weight:
            entry = self._latest = Entry(at_us, weight, value)
        place = hash(key) % self._count
        shard, order, weights = self._shards[place], self._oldest_first[place], self._weights
        if key in shard:
            order.remove(key)  # which takes a while, and is rare: what is remembered is not stored again
            weights[place] -= shard[key].weight
        shard[key] = entry
        order.append(key)
        weights[place] += weight
        while weights[place] > self._max_weight and len(order) > 1:
            self._forget_oldest(place)

    def forget_before(self, at_us: int) -> None:
        """Forget what was remembered before `at_us`."""
        for place, (shard, order) in enumerate(zip(self._shards, self._oldest_first, strict=True)):
            while order and shard[order[0]].at_us < at_us:
                self._forget_oldest(place)

    def _forget_oldest(self, place: int) -> None:
        self._weights[place] -= self._shards[place].pop(self._oldest_first[place].popleft()).weight
