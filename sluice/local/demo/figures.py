"""Rates and percentiles of a run. Pure."""

import math
from collections.abc import Sequence
from datetime import datetime

import msgspec

from sluice.local.demo.checks import Row


class Percentiles(msgspec.Struct, frozen=True):
    """Percentiles of a list of durations, in seconds."""

    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


def percentiles(durations_s: Sequence[float]) -> Percentiles | None:
    """Return the nearest-rank percentiles; None for an empty list."""
    if not durations_s:
        return None
    ranked = sorted(durations_s)

    def at(fraction: float) -> float:
        return ranked[max(math.ceil(fraction * len(ranked)), 1) - 1]

    return Percentiles(at(0.5), at(0.95), at(0.99), ranked[-1])


def rate(count: int, seconds: float) -> float:
    """Return the count per second; 0 if no time passed."""
    return count / seconds if seconds > 0 else 0.0


def stored_rate(rows: Sequence[Row]) -> float:
    """Return records a second between the first and the last `ingest_time`."""
    if not rows:
        return 0.0
    times = [datetime.fromisoformat(row["ingest_time"]) for row in rows]
    return rate(len(rows), (max(times) - min(times)).total_seconds())


def queryable_after_s(row: Row, received_time: datetime) -> float:
    """Return the seconds from the record's publication until it was read from the API."""
    return (received_time - datetime.fromisoformat(row["publish_time"])).total_seconds()
