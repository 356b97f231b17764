"""What was stored lately, by key: the oldest go first, when they are too old or when it becomes too much. Pure.

In shards, each small: a dictionary of hundreds of thousands of entries holds up everything for many milliseconds
whenever it is laid out anew, and finding the first entry of a plain one takes the longer the more were deleted there.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

import msgspec

Value = TypeVar("Value")
_WEIGHT_OF_A_SHARD, _MOST_SHARDS = 25_000, 256  # the longest result of a request weighs 20,000


class Entry(msgspec.Struct, Generic[Value], frozen=True, gc=False):
    """What is remembered with a key, since when (microseconds), and how much it weighs."""

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
        self._shards: list[OrderedDict[str, Entry[Value]]] = [OrderedDict() for _ in range(self._count)]
        self._weights = [0] * self._count

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
        place = hash(key) % self._count
        shard, weights = self._shards[place], self._weights
        before = shard.pop(key, None)
        if before is not None:
            weights[place] -= before.weight
        shard[key] = Entry(at_us, weight, value)
        weights[place] += weight
        while weights[place] > self._max_weight and len(shard) > 1:
            weights[place] -= shard.popitem(last=False)[1].weight

    def forget_before(self, at_us: int) -> None:
        """Forget what was remembered before `at_us`."""
        for place, shard in enumerate(self._shards):
            while shard and next(iter(shard.values())).at_us < at_us:
                self._weights[place] -= shard.popitem(last=False)[1].weight
