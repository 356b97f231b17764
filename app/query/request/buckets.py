"""The time buckets of statistics, all of the same length. Pure.

Buckets begin at whole multiples of their length since 1970-01-01T00:00:00Z, so those of two windows line up:
hours begin on the hour, days at midnight in UTC, and weeks on Thursdays.
"""

from collections.abc import Iterator

import msgspec

from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, InstantError, clamp, parse_instant
from app.runtime.time_range import TimeRange

MAX_BUCKETS = 1_000
AUTO_BUCKETS = 121  # 120 that fit the window, and one more if they are not aligned with it
_SHORTEST_US, _LONGEST_US = SECOND_US, 366 * DAY_US
_ROUND_US = (
    *(count * SECOND_US for count in (1, 2, 5, 10, 15, 30)),
    *(count * MINUTE_US for count in (1, 2, 5, 10, 15, 30)),
    *(count * HOUR_US for count in (1, 2, 3, 4, 6, 8, 12)),
    *(count * DAY_US for count in (1, 2, 7)),
)


class Buckets(msgspec.Struct, frozen=True):
    """`count` buckets of `length_us`, the first of which begins at `first_us`."""

    first_us: int
    length_us: int
    count: int

    @property
    def end_us(self) -> int:
        """The end of the last bucket."""
        return self.first_us + self.count * self.length_us

    def starts_us(self) -> Iterator[int]:
        """Yield the start of each bucket, clamped to the year 0001."""
        return (clamp(self.first_us + number * self.length_us) for number in range(self.count))


def cut_in_buckets(window: TimeRange, length_us: int) -> Buckets:
    """Return the buckets that hold `window`; the first may begin earlier, and the last end later."""
    first_us = window.from_us // length_us * length_us
    count = -((first_us - window.to_us) // length_us) if window.length_us > 0 else 0
    return Buckets(first_us, length_us, count)


def shortest_round_us(window: TimeRange, most: int) -> int:
    """Return the shortest round length with which at most `most` buckets cover the window."""
    for length_us in _ROUND_US:
        if cut_in_buckets(window, length_us).count <= most:
            return length_us
    weeks_us = 7 * DAY_US
    return -(-window.length_us // ((most - 1) * weeks_us)) * weeks_us


def parse_length(text: str) -> int:
    """Return the microseconds of an ISO 8601 duration, such as PT5M.

    Raises:
        ValueError: it is none, or too short or too long for a bucket.
    """
    try:
        length_us = -parse_instant(f"-{text}", 0) if text.startswith("P") else 0
    except InstantError:
        length_us = 0
    if not length_us:
        raise ValueError("expected auto, or a duration of either weeks, or days, hours, minutes and seconds")
    if not _SHORTEST_US <= length_us <= _LONGEST_US:
        raise ValueError(f"expected a duration from {length_text(_SHORTEST_US)} to {length_text(_LONGEST_US)}")
    return length_us


def length_text(length_us: int) -> str:
    """Return the duration in its canonical form: without weeks and without zero parts."""
    days, rest_us = divmod(length_us, DAY_US)
    hours, rest_us = divmod(rest_us, HOUR_US)
    minutes, rest_us = divmod(rest_us, MINUTE_US)
    seconds = f"{rest_us // SECOND_US}.{rest_us % SECOND_US:06}".rstrip("0").rstrip(".")
    time = "".join(
        f"{part}{unit}" for part, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if part not in {0, "0"}
    )
    return "P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")
