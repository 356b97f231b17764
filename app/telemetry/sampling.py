"""Whether a trace is recorded: decided before a span is made, which costs more. Pure but for its clock."""

import random
from collections.abc import Callable

from app.runtime.clock import MICROSECONDS
from app.telemetry.traceparent import Parent


class Sampler:
    """Chooses what is traced: a part of what nobody has decided about, and no more than so many a second.

    Messages and requests have room of their own: a message comes with a token, a request may be a stranger's.
    `elapsed_us` is a monotone clock; `draw` returns a number from 0 up to 1.
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
        """Return whether to trace a message: as its publisher decided; where there is no decision, by the ratio."""
        wanted = self._draw() < self._ratio if parent is None else parent.sampled
        return wanted and self._messages.take()

    def picks(self, parent: Parent | None) -> bool:
        """Return whether to trace a request: where the caller's trace is recorded, and by the ratio.

        That it is not recorded there decides nothing: Cloud Run gives every request a trace and records few.
        """
        wanted = (parent is not None and parent.sampled) or self._draw() < self._ratio
        return wanted and self._requests.take()


class _Room:
    """So many a second, and no more than one second's at once."""

    def __init__(self, max_per_s: float, elapsed_us: Callable[[], int]) -> None:
        self._max_per_s, self._elapsed_us = max_per_s, elapsed_us
        self._most = max(max_per_s, 1.0)
        self._left, self._filled_us = self._most, elapsed_us()

    def take(self) -> bool:
        """Take one; return False where there is none left."""
        now_us = self._elapsed_us()
        gained = (now_us - self._filled_us) / MICROSECONDS * self._max_per_s
        self._left, self._filled_us = min(self._left + gained, self._most), now_us
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
