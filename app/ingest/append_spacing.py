"""How soon an append that is not full may follow the last one. Pure but for its clock.

An append costs the same however small, so few should be in flight at once; yet a message should wait little. If appends
left immediately, the first few messages of a burst would fill every in-flight slot with tiny batches, and the rest
would wait a full round trip. So appends are spread over the time that an acknowledgement takes. With n in flight, the
next one follows after n/N² of that time. This is no delay for a trickle, and settles at N in flight (`eager`).
"""

from collections.abc import Callable

_NEW = 1 / 8  # weight of the latest acknowledgement in the moving average


class AppendSpacing:
    """Spaces appends. `elapsed_us` is a monotonic clock; `eager` is the target number of appends in flight."""

    def __init__(self, elapsed_us: Callable[[], int], eager: int) -> None:
        self._elapsed_us, self._eager = elapsed_us, eager
        self._last_us = elapsed_us()
        self._takes_us = 0.0

    def begun(self) -> None:
        """Record that an append begins."""
        self._last_us = self._elapsed_us()

    def acknowledged(self, took_us: int) -> None:
        """Record how long the store took to acknowledge an append."""
        self._takes_us = self._takes_us + (took_us - self._takes_us) * _NEW if self._takes_us else float(took_us)

    def wait_us(self, under_way: int) -> int:
        """Return how long the next append must wait while `under_way` are in flight; 0 means that it may go."""
        if not under_way:
            return 0
        distance_us = self._takes_us * under_way / self._eager**2
        return max(round(self._last_us + distance_us) - self._elapsed_us(), 0)
