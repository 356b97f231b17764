"""Remember what this instance has stored, so that most copies never reach the store.

The memory is an optimisation with limits (a weight and an age); reads remove any copy that it misses.
Its unit is the message: a message is acknowledged as a whole, so its copies are too.

`Memory` consists of small shards, since resizing a dictionary of hundreds of thousands of entries blocks everything for
many milliseconds. Each key takes little memory, because writing to memory outside the processor's cache is slow. Keys
with the same time and value share one entry. A TTLCache of cachetools takes five times the memory and three times the
time, and its tables grow in one step.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from app.runtime.clock import MICROSECONDS

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


Result = TypeVar("Result")
_TOGETHER_US = 10_000  # messages stored within it are remembered from its start, as one entry
_TIDIED = 64  # times within the maximum age; to tidy up at every message would cost more than to remember it


class New(msgspec.Struct, frozen=True):
    """The key is new: the caller stores the message and calls `settle`."""


class InFlight(msgspec.Struct, Generic[Result], frozen=True):
    """The first copy is being stored: await its result."""

    result: asyncio.Future[Result]


class Seen(msgspec.Struct, Generic[Result], frozen=True):
    """The first copy was stored, with this result."""

    result: Result


class Dedupe(Generic[Result]):
    """The messages in flight and those already stored, by message key.

    A `digest` is remembered with its key, for callers that may reuse a key by mistake. Each result has a weight, and
    `max_weight` bounds their sum.
    """

    def __init__(self, *, max_weight: int, max_age_s: float, elapsed_us: Callable[[], int]) -> None:
        self._max_age_us, self._elapsed_us, self._tidy_us = round(max_age_s * MICROSECONDS), elapsed_us, 0
        self._in_flight: dict[str, tuple[str, asyncio.Future[Result] | None]] = {}
        self._stored: Memory[tuple[str, Result]] = Memory(max_weight)
        self._usual: tuple[str, Result] | None = None
        """The value that nearly all keys share: everything is stored."""

    def digest(self, key: str) -> str | None:
        """Return the digest that came with `key`, or None if the key is unknown."""
        if key in self._in_flight:
            return self._in_flight[key][0]
        known = self._known(key)
        return None if known is None else known[0]

    def claim(self, key: str, digest: str = "") -> New | InFlight[Result] | Seen[Result]:
        """Return the state of `key`; claim the key if it is new."""
        if (flying := self._in_flight.get(key)) is not None:
            result = flying[1] or asyncio.get_running_loop().create_future()  # created only once a copy waits
            self._in_flight[key] = (flying[0], result)
            return InFlight(result)
        if (known := self._known(key)) is not None:
            return Seen(known[1])
        self._in_flight[key] = (digest, None)
        return _CLAIMED

    def settle(self, key: str, result: Result, *, stored: bool, weight: int = 1) -> None:
        """Give `result` to every waiting copy; remember it if it was stored, else forget the key."""
        digest, waiting = self._in_flight.pop(key)
        if waiting is not None:
            waiting.set_result(result)
        if stored:
            now_us = self._elapsed_us()
            usual = self._usual
            if usual is None or usual[1] is not result or usual[0] != digest:
                usual = self._usual = (digest, result)
            self._stored.put(key, usual, now_us - now_us % _TOGETHER_US, weight)
            if now_us >= self._tidy_us:
                self._tidy_us = now_us + self._max_age_us // _TIDIED
                self._stored.forget_before(now_us - self._max_age_us)

    def _known(self, key: str) -> tuple[str, Result] | None:
        entry = self._stored.get(key)
        if entry is None or self._elapsed_us() - entry.at_us > self._max_age_us:
            return None
        return entry.value


_CLAIMED = New()
