"""Decide whether a trace is recorded, before creating a span, which costs more. Pure except for its clock."""

import random
import re
from collections.abc import Callable

import msgspec

from app.runtime.instants import SECOND_US

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class Parent(msgspec.Struct, frozen=True):
    """A remote parent span, and whether its trace is recorded there."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(text: str) -> Parent | None:
    """Parse a W3C traceparent; return None if it is not valid."""
    parts = _TRACEPARENT.fullmatch(text)
    return Parent(parts[1], parts[2], bool(int(parts[3], 16) & 1)) if parts else None


class Sampler:
    """Decides what is traced: a ratio of what carries no sampling decision, up to a limit per second.

    Messages and requests have separate limits: a message comes with a token, a request may be a stranger's.
    `elapsed_us` is a monotonic clock; `draw` returns a number from 0 up to 1.
    """

    def __init__(
        self,
        ratio: float,
        max_per_s: float,
        elapsed_us: Callable[[], int],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._ratio, self._draw = ratio, draw
        self._messages, self._requests = _Room(max_per_s, elapsed_us), _Room(max_per_s, elapsed_us)

    def follows(self, parent: Parent | None) -> bool:
        """Return whether to trace a message: as its publisher decided, or by the ratio if there is no decision."""
        is_drawn = self._draw() < self._ratio if parent is None else parent.sampled
        return is_drawn and self._messages.take()

    def picks(self, parent: Parent | None) -> bool:
        """Return whether to trace a request: if the caller's trace is recorded, or by the ratio.

        An unrecorded trace of the caller does not count as a decision: Cloud Run gives every request a trace and
        records few.
        """
        is_drawn = (parent is not None and parent.sampled) or self._draw() < self._ratio
        return is_drawn and self._requests.take()


class _Room:
    """A token bucket: `max_per_s` tokens a second, with a burst of at most one second's."""

    def __init__(self, max_per_s: float, elapsed_us: Callable[[], int]) -> None:
        self._max_per_s, self._elapsed_us = max_per_s, elapsed_us
        self._most = max(max_per_s, 1.0)
        self._left, self._filled_us = self._most, elapsed_us()

    def take(self) -> bool:
        """Take one token; return False if none is left."""
        now_us = self._elapsed_us()
        gained = (now_us - self._filled_us) / SECOND_US * self._max_per_s
        self._left, self._filled_us = min(self._left + gained, self._most), now_us
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
