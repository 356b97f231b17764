"""How patient the tests are: limits on waiting are scaled by the pace of the machine, in one place.

A time limit in a test ends a wait that would never end; it is no claim about speed. On a machine that is shared or slow
the same wait takes longer, so each limit is multiplied by a factor. It is the seconds of wall-clock time that a
second of processor time costs here, measured once a process. `TEST_PACE` sets it where the load comes later than that.
"""

import os
import time
from functools import lru_cache

VARIABLE = "TEST_PACE"
_SAMPLE_S = 0.1
"""Processor time that the measurement spends: many of the kernel's time slices."""
_AT_LEAST, _AT_MOST = 2.0, 40.0
_NOMINAL_STEPS_PER_S = 10_000_000.0
"""Steps of the loop below in a second on the machines that the limits were chosen on."""
_STEPS = 10_000


def patience_s(seconds: float) -> float:
    """Return how long to wait here for what takes less than `seconds` on an idle machine."""
    return seconds * factor()


@lru_cache(maxsize=1)
def factor() -> float:
    """Return by what limits are multiplied: the environment's word, or a measurement of this process.

    Raises:
        ValueError: the variable is not a number above 0.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return scaled(*_measure())
    value = float(text)
    if not value > 0:
        raise ValueError(f"{VARIABLE}={text}: must be above 0")
    return value


def scaled(steps: int, wall_s: float) -> float:
    """Return the factor for a machine that did `steps` within `wall_s` seconds: from 2 to 40.

    Twice the nominal time is always granted: load comes and goes, and a limit that is too long costs only a test that
    fails anyway.
    """
    nominal_s = steps / _NOMINAL_STEPS_PER_S
    return min(max(2 * wall_s / nominal_s, _AT_LEAST), _AT_MOST)


def _measure() -> tuple[int, float]:
    begun_s, until_s, steps = time.monotonic(), time.process_time() + _SAMPLE_S, 0
    while time.process_time() < until_s:
        for _ in range(_STEPS):
            steps += 1
    return steps, time.monotonic() - begun_s
