"""Remember what this instance has stored, so that most copies never reach the store.

The memory is an optimisation with limits (a weight and an age); reads remove any copy that it misses.
Its unit is the message: a message is acknowledged as a whole, so its copies are too.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from app.runtime.clock import MICROSECONDS

Result = TypeVar("Result")


class Known(NamedTuple, Generic[Result]):
    """The digest that came with a key, and its result; nearly all keys share one."""

    digest: str
    result: Result


class _Generation(Generic[Result]):
    """What was stored from one instant on, until the next generation began."""

    __slots__ = ("begun_us", "stored", "weight")

    def __init__(self, begun_us: int) -> None:
        self.begun_us, self.weight, self.stored = begun_us, 0, dict[str, Known[Result]]()


_GENERATIONS = 4
"""A part of the memory is forgotten at once: a dictionary that forgets one key at a time becomes slow."""


class Dedupe(Generic[Result]):
    """The messages in flight and those already stored, by message key.

    A `digest` is remembered with its key, for callers that may reuse a key by mistake. Each result has a weight, and
    `max_weight` bounds their sum. What is older than `max_age_s` is not known; up to a quarter of the memory is
    forgotten sooner.
    """

    def __init__(self, *, max_weight: int, max_age_s: float, elapsed_us: Callable[[], int]) -> None:
        self._elapsed_us, self._part_us = elapsed_us, round(max_age_s * MICROSECONDS) // _GENERATIONS
        self._part_weight = max(max_weight // _GENERATIONS, 1)
        self._in_flight: dict[str, tuple[str, asyncio.Future[Result] | None]] = {}
        self._newest: _Generation[Result] = _Generation(elapsed_us())
        self._generations = deque([self._newest], maxlen=_GENERATIONS)
        self._latest: Known[Result] | None = None

    def digest(self, key: str) -> str | None:
        """Return the digest that came with `key`, or None if the key is unknown."""
        if key in self._in_flight:
            return self._in_flight[key][0]
        known = self._known(key)
        return None if known is None else known.digest

    def claim(self, key: str, digest: str = "") -> Result | asyncio.Future[Result] | None:
        """Return the result of `key`, or its future while the first copy is being stored.

        None if the key is new: the caller stores the message and calls `settle`.
        """
        if (flying := self._in_flight.get(key)) is not None:
            result = flying[1] or asyncio.get_running_loop().create_future()  # created only once a copy waits
            self._in_flight[key] = (flying[0], result)
            return result
        if (known := self._known(key)) is not None:
            return known.result
        self._in_flight[key] = (digest, None)
        return None

    def settle(self, key: str, result: Result, *, stored: bool, weight: int = 1) -> None:
        """Give `result` to every waiting copy; remember it if it was stored, else forget the key."""
        digest, waiting = self._in_flight.pop(key)
        if waiting is not None:
            waiting.set_result(result)
        if stored:
            latest = self._latest
            if latest is None or latest.result is not result or latest.digest != digest:
                latest = self._latest = Known(digest, result)
            self._newest.stored[key] = latest
            self._newest.weight += weight

    def _known(self, key: str) -> Known[Result] | None:
        """Return what is known of a key, after forgetting what is too old or too much."""
        now_us = self._elapsed_us()
        if self._newest.weight >= self._part_weight or now_us - self._newest.begun_us >= self._part_us:
            self._newest = _Generation(now_us)
            self._generations.appendleft(self._newest)
        oldest_us = now_us - self._part_us * _GENERATIONS
        for generation in self._generations:
            if generation.begun_us < oldest_us:
                return None
            if (known := generation.stored.get(key)) is not None:
                return known
        return None
