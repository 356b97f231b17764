"""Whether a trace is recorded: decided before a span is made, which costs more. Pure but for its clock."""

import random
from collections.abc import Callable

from app.clock import MICROSECONDS
from app.telemetry.traceparent import Parent


class Sampler:
    """Chooses what is traced: a part of what nobody has decided about, and no more than so many a second in all.

    `elapsed_us` is a monotone clock; `draw` returns a number from 0 up to 1.
    """

    def __init__(
        self,
        ratio: float,
        max_per_s: float,
        elapsed_us: Callable[[], int],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._ratio, self._max_per_s, self._elapsed_us, self._draw = ratio, max_per_s, elapsed_us, draw
        self._most = max(max_per_s, 1.0)
        self._left, self._filled_us = self._most, elapsed_us()

    def follows(self, parent: Parent | None) -> bool:
        """Return whether to trace a message: as its publisher decided; where there is no decision, by the ratio."""
        wanted = self._draw() < self._ratio if parent is None else parent.sampled
        return wanted and self._has_room()

    def picks(self, parent: Parent | None) -> bool:
        """Return whether to trace a request: where the caller's trace is recorded, and by the ratio.

        That it is not recorded there decides nothing: Cloud Run gives every request a trace and records few.
        """
        wanted = (parent is not None and parent.sampled) or self._draw() < self._ratio
        return wanted and self._has_room()

    def _has_room(self) -> bool:
        """Take one of so many a second (a bucket that holds one second's)."""
        now_us = self._elapsed_us()
        gained = (now_us - self._filled_us) / MICROSECONDS * self._max_per_s
        self._left, self._filled_us = min(self._left + gained, self._most), now_us
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
