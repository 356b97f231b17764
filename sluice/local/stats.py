"""Counters and latency percentiles of the pusher, cheap enough for every message."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

_STEPS = 40  # per e-fold: percentiles are within 2.5 % of the exact ones


class Latencies:
    """A histogram with logarithmic buckets: constant memory, percentiles within 2.5 %."""

    def __init__(self) -> None:
        """Start empty."""
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.max_s = 0.0

    def add(self, latency_s: float) -> None:
        """Count one latency; below a microsecond counts as one."""
        self._buckets[round(math.log(max(latency_s, 1e-6)) * _STEPS)] += 1
        self.count += 1
        self.max_s = max(self.max_s, latency_s)

    def merge(self, other: "Latencies") -> None:
        """Count the latencies of another histogram as well."""
        self._buckets += other._buckets  # noqa: SLF001 - its own class
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    def percentile_s(self, fraction: float) -> float:
        """Return the latency that `fraction` (0..1) of all do not exceed; 0 if there are none."""
        rank, seen = fraction * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                return min(math.exp(bucket / _STEPS), self.max_s)
        return 0.0

    def summary_ms(self) -> dict[str, float]:
        """Return count, p50, p90, p95, p99 and max, in milliseconds."""
        points = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
        summary = {name: round(self.percentile_s(at) * 1000, 3) for name, at in points.items()}
        return {"count": self.count, **summary, "max": round(self.max_s * 1000, 3)}


class PushStats:
    """The pusher's counters and latencies so far."""

    def __init__(self) -> None:
        """Start at zero."""
        self.delivered = 0
        self.acked = 0
        self.nacked = 0
        self.by_status: Counter[str] = Counter()
        self.publish_to_ack = Latencies()
        self.request = Latencies()

    @classmethod
    def of_all(cls, several: Iterable["PushStats"]) -> "PushStats":
        """Return the statistics of several pushers together."""
        whole = cls()
        for each in several:
            whole.delivered += each.delivered
            whole.acked += each.acked
            whole.nacked += each.nacked
            whole.by_status += each.by_status
            whole.publish_to_ack.merge(each.publish_to_ack)
            whole.request.merge(each.request)
        return whole

    def snapshot(self) -> dict[str, Any]:
        """Return the counters as JSON-ready values."""
        return {
            "delivered": self.delivered,
            "acked": self.acked,
            "nacked": self.nacked,
            "by_status": dict(self.by_status),
            "publish_to_ack_ms": self.publish_to_ack.summary_ms(),
            "request_ms": self.request.summary_ms(),
        }
