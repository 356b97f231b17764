"""Samples over time, and whether what they count is flat. Pure.

Growth is the difference between the medians of the later and the earlier half, which bursts and the moment of a garbage
collection do not move. It is taken after a warm-up, in which caches and memories of fixed size fill.
"""

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from tests.support.instance import Resources

MIB = 1024 * 1024


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
    """How a figure went after the warm-up: its level (median), how much it grew, and what is tolerated."""

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


def trends(samples: Sequence[Resources]) -> list[Trend]:
    """Return the trends of what must be flat, of samples at equal distances; none for too few."""
    found = []
    for name, tolerance in TOLERANCES.items():
        values = [float(getattr(each, name)) for each in samples[int(len(samples) * tolerance.warm_up) :]]
        if len(values) >= 2:
            found.append(trend(name, values, tolerance))
    return found


def trend(name: str, values: Sequence[float], tolerance: Tolerance) -> Trend:
    """Return the trend of values, of which there are two at least: half of them lie in half of the time."""
    level, half = median(values), len(values) // 2
    growth = 2 * (median(values[half:]) - median(values[:half]))
    return Trend(name, level, growth, max(tolerance.amount, tolerance.share * level))
