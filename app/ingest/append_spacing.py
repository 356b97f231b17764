"""How soon an append that is not full may follow the last one. Pure but for its clock.

Appends cost the same however small, so few are to be under way at once; and a message is to wait little. Were all of
them sent as soon as they may, the first crumbs of a burst would take every place, and the bulk of it would wait for a
whole acknowledgement before its own begins. So they are spread over the time that an acknowledgement takes: with n
under way the next one follows after n/N² of it, which is nothing for a trickle, and settles at N under way (`eager`).
"""

from collections.abc import Callable

_NEW = 1 / 8  # of what one more acknowledgement says, against all before it


class AppendSpacing:
    """Keeps the distance between appends. `elapsed_us` is a monotone clock; `eager`, how many are to be under way."""

    def __init__(self, elapsed_us: Callable[[], int], eager: int) -> None:
        self._elapsed_us, self._eager = elapsed_us, eager
        self._last_us = elapsed_us()
        self._takes_us = 0.0

    def begun(self) -> None:
        """Take note that an append begins."""
        self._last_us = self._elapsed_us()

    def acknowledged(self, took_us: int) -> None:
        """Take note of how long the store took for an append."""
        self._takes_us = self._takes_us + (took_us - self._takes_us) * _NEW if self._takes_us else float(took_us)

    def wait_us(self, under_way: int) -> int:
        """Return how long the next append is to wait while so many are `under_way`; 0: it may go."""
        if not under_way:
            return 0
        distance_us = self._takes_us * under_way / self._eager**2
        return max(round(self._last_us + distance_us) - self._elapsed_us(), 0)
