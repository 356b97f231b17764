"""Samples over time, and whether what they count is flat. Pure.

The slope is Theil and Sen's, the median of the slopes between pairs: bursts and the moment of a garbage collection do
not move it. It is taken after a warm-up, in which caches and memories of fixed size fill.
"""

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from tests.support.instance import Resources

MIB = 1024 * 1024
_MAX_PAIRS_OF = 240
"""Samples that pairs are made of: more are thinned out first."""


class Tolerance(msgspec.Struct, frozen=True):
    """How much a figure that is flat may grow while it is watched: an amount or a share of its level, the larger.

    It is watched after the share `warm_up` of the time.
    """

    amount: float
    share: float
    warm_up: float = 1 / 3


TOLERANCES: Mapping[str, Tolerance] = {
    # The service remembers 15 minutes of messages, and the default soak takes 30.
    "rss_bytes": Tolerance(16 * MIB, 0.08, warm_up=2 / 3),
    "descriptors": Tolerance(20, 0.25),
    "threads": Tolerance(4, 0.10),
}


class Trend(msgspec.Struct, frozen=True):
    """How a figure went after the warm-up: its level (median), how much it grew by its slope, and what is tolerated."""

    name: str
    level: float
    growth: float
    tolerated: float

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.tolerated

    @property
    def text(self) -> str:
        """What it was, how much it grew, and what is tolerated."""
        unit, name = (MIB, " MiB") if self.name.endswith("_bytes") else (1, "")
        level, growth, most = (value / unit for value in (self.level, self.growth, self.tolerated))
        return f"{level:.1f}{name}, {growth:+.1f} after the warm-up (up to {most:.1f} is flat)"


def trends(samples: Sequence[tuple[float, Resources]]) -> list[Trend]:
    """Return the trends of what must be flat; none for too few samples."""
    found = []
    for name, tolerance in TOLERANCES.items():
        values = after_warm_up([(at_s, float(getattr(each, name))) for at_s, each in samples], tolerance.warm_up)
        if len(values) >= 2:
            found.append(trend(name, values, tolerance))
    return found


def trend(name: str, samples: Sequence[tuple[float, float]], tolerance: Tolerance) -> Trend:
    """Return the trend of (seconds, value) samples, of which there are two at least."""
    level = median(value for _, value in samples)
    growth = slope(samples) * (samples[-1][0] - samples[0][0])
    return Trend(name, level, growth, max(tolerance.amount, tolerance.share * level))


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return the median slope between pairs of (seconds, value) samples, per second; 0 where there is no pair."""
    step = len(samples) // _MAX_PAIRS_OF + 1
    some = samples[::step]
    slopes = [
        (later - value) / (later_s - at_s)
        for index, (at_s, value) in enumerate(some)
        for later_s, later in some[index + 1 :]
        if later_s > at_s
    ]
    return median(slopes) if slopes else 0.0


def after_warm_up(samples: Sequence[tuple[float, float]], share: float) -> Sequence[tuple[float, float]]:
    """Return the samples of the time after the first `share` of it."""
    if not samples:
        return samples
    begun_s, ended_s = samples[0][0], samples[-1][0]
    return [sample for sample in samples if sample[0] >= begun_s + share * (ended_s - begun_s)]
