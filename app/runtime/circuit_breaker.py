"""A circuit breaker: skip a dependency for a while after it failed, then probe it. Pure, and for one thread.

closed      calls pass
open        no call passes until the pause is over
half-open   the pause is over; the next outcomes close the circuit or trip it again
"""

from collections.abc import Callable
from enum import Enum

from app.runtime.instants import SECOND_US

_MAX_DOUBLINGS = 30  # by then every back-off has long reached its ceiling


class CircuitState(Enum):
    """The state of a circuit."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


def backoff_s(base_s: float, max_s: float, failures: int) -> float:
    """Return the delay after `failures` earlier ones: `base_s`, doubled for each, and at most `max_s` seconds."""
    return min(base_s * 2.0 ** min(failures, _MAX_DOUBLINGS), max_s)


class CircuitBreaker:
    """The circuit of one dependency. `elapsed_us` is a monotonic clock.

    `trips` counts the trips since the circuit was last closed, for callers whose pauses grow.
    """

    def __init__(self, elapsed_us: Callable[[], int]) -> None:
        self._elapsed_us, self._pause_us, self.trips = elapsed_us, 0, 0
        self._half_open_us: int | None = None
        """When an open circuit becomes half-open; None while it is closed."""

    @property
    def remaining_s(self) -> float:
        """The seconds until the circuit is half-open; 0 if it is not open."""
        return 0.0 if self._half_open_us is None else max(self._half_open_us - self._elapsed_us(), 0) / SECOND_US

    @property
    def state(self) -> CircuitState:
        """The state at this moment."""
        if self._half_open_us is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self.remaining_s else CircuitState.HALF_OPEN

    def allows(self) -> bool:
        """Return whether a call may pass.

        A half-open circuit lets one call pass in each pause, as its probe. Even a probe without an outcome, such as a
        cancelled one, is followed by the next after that pause.
        """
        state = self.state
        if state is CircuitState.HALF_OPEN:
            self._half_open_us = self._elapsed_us() + self._pause_us
        return state is not CircuitState.OPEN

    def trip(self, pause_s: float) -> None:
        """Open the circuit for `pause_s` seconds. An open circuit stays as it is: calls in flight fail together."""
        if self.state is not CircuitState.OPEN:
            self.trips += 1
            self._pause_us = round(pause_s * SECOND_US)
            self._half_open_us = self._elapsed_us() + self._pause_us

    def half_open(self) -> None:
        """End the pause of an open circuit: there is a reason to try again."""
        if self._half_open_us is not None:
            self._half_open_us = self._elapsed_us()

    def close(self) -> None:
        """Close the circuit: the dependency works."""
        self._half_open_us, self.trips = None, 0
