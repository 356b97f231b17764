"""Remember what this instance has stored, so that most copies never reach the store.

The memory is an optimisation with an end (a count and an age); whatever slips by is removed when reading.
It goes by message: a message is acknowledged as a whole, so its copies are too.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from app.clock import MICROSECONDS

Result = TypeVar("Result")
_TIDIED = 64  # times, within the age at which something is forgotten: to look each time costs more than to remember


class Claimed(msgspec.Struct, frozen=True):
    """Nobody has this key: the caller stores the message and calls `settle`."""


class InFlight(msgspec.Struct, Generic[Result], frozen=True):
    """The first copy is being stored: await its result."""

    result: asyncio.Future[Result]


class Remembered(msgspec.Struct, Generic[Result], frozen=True):
    """The first copy was stored, with this result."""

    result: Result


class Dedupe(Generic[Result]):
    """What is being stored and what was, by message key.

    A `digest` is remembered with its key, for callers whose keys may be used twice by mistake. Results weigh:
    `max_weight` bounds the sum over all that is remembered.
    """

    def __init__(self, *, max_weight: int, max_age_s: float, elapsed_us: Callable[[], int]) -> None:
        self._max_weight, self._max_age_us = max_weight, round(max_age_s * MICROSECONDS)
        self._elapsed_us = elapsed_us
        self._in_flight: dict[str, tuple[str, asyncio.Future[Result] | None]] = {}
        # Oldest first. Not a plain dict: to find the first entry of one whose first entries were deleted takes longer
        # and longer.
        self._stored: OrderedDict[str, tuple[int, str, int, Result]] = OrderedDict()
        self._weight = self._tidy_us = 0

    def digest(self, key: str) -> str | None:
        """Return the digest that came with `key`, or None when the key is not known."""
        if key in self._in_flight:
            return self._in_flight[key][0]
        self._forget_expired()
        return self._stored[key][1] if key in self._stored else None

    def claim(self, key: str, digest: str = "") -> Claimed | InFlight[Result] | Remembered[Result]:
        """Say what is known of `key`, and take it when nothing is."""
        if (flying := self._in_flight.get(key)) is not None:
            result = flying[1] or asyncio.get_running_loop().create_future()  # made for the first copy that waits
            self._in_flight[key] = (flying[0], result)
            return InFlight(result)
        if (stored := self._stored.get(key)) is not None and self._elapsed_us() - stored[0] <= self._max_age_us:
            return Remembered(stored[3])
        self._in_flight[key] = (digest, None)
        return _CLAIMED

    def settle(self, key: str, result: Result, *, stored: bool, weight: int = 1) -> None:
        """Give `result` to every waiting copy; remember it when it is durable, forget the key when not."""
        digest, waiting = self._in_flight.pop(key)
        if waiting is not None:
            waiting.set_result(result)
        if stored:
            if key in self._stored:
                self._forget(key)
            now_us = self._elapsed_us()
            self._stored[key] = (now_us, digest, weight, result)
            self._weight += weight
            if now_us >= self._tidy_us:
                self._tidy_us = now_us + self._max_age_us // _TIDIED
                self._forget_expired()
            while self._weight > self._max_weight and self._stored:
                self._weight -= self._stored.popitem(last=False)[1][2]

    def _forget_expired(self) -> None:
        """Forget what is too old to matter; the oldest are in front."""
        oldest_us = self._elapsed_us() - self._max_age_us
        while self._stored and self._stored[first := next(iter(self._stored))][0] < oldest_us:
            self._forget(first)

    def _forget(self, key: str) -> None:
        if (gone := self._stored.pop(key, None)) is not None:
            self._weight -= gone[2]


_CLAIMED = Claimed()
