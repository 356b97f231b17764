"""Remember what this instance has stored, so that most copies never reach the store.

The memory is an optimisation with an end (a count and an age); whatever slips by is removed when reading.
It goes by message: a message is acknowledged as a whole, so its copies are too.
"""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Generic, TypeVar

import msgspec

from app.clock import MICROSECONDS

Result = TypeVar("Result")


class Claimed(msgspec.Struct, frozen=True):
    """Nobody has this key: the caller stores the message and calls `settle`."""


class InFlight(msgspec.Struct, Generic[Result], frozen=True):
    """The first copy is being stored: await its result."""

    result: asyncio.Future[Result]


class Remembered(msgspec.Struct, Generic[Result], frozen=True):
    """The first copy was stored, with this result."""

    result: Result


class Conflict(msgspec.Struct, frozen=True):
    """The key was used for something else: the digests differ."""


class Dedupe(Generic[Result]):
    """What is being stored and what was, by message key. `digest` tells messages of one key apart; "" does not."""

    def __init__(self, *, max_messages: int, max_age_s: float, now_us: Callable[[], int]) -> None:
        self._max_messages, self._max_age_us, self._now_us = max_messages, round(max_age_s * MICROSECONDS), now_us
        self._in_flight: dict[str, tuple[str, asyncio.Future[Result]]] = {}
        self._stored: dict[str, tuple[int, str, Result]] = {}  # oldest first

    def claim(self, key: str, digest: str = "") -> Claimed | InFlight[Result] | Remembered[Result] | Conflict:
        """Say what is known of `key`, and take it when nothing is."""
        if (flying := self._in_flight.get(key)) is not None:
            return InFlight(flying[1]) if flying[0] == digest else Conflict()
        if (stored := self._stored.get(key)) is not None:
            if self._now_us() - stored[0] <= self._max_age_us:
                return Remembered(stored[2]) if stored[1] == digest else Conflict()
            del self._stored[key]
        self._in_flight[key] = (digest, asyncio.get_running_loop().create_future())
        return Claimed()

    def settle(self, key: str, result: Result, *, stored: bool) -> None:
        """Give `result` to every waiting copy; remember it when it is durable, forget the key when not."""
        digest, waiting = self._in_flight.pop(key)
        waiting.set_result(result)
        if stored:
            self._stored[key] = (self._now_us(), digest, result)
            surplus = len(self._stored) - self._max_messages
            for oldest in list(islice(self._stored, max(surplus, 0))):
                del self._stored[oldest]
