"""List prices of Google Cloud, in US dollars, without free amounts and discounts. Pure data.

Of November 2026, for regions of the first tier (`us-central1`, `europe-west1`); each with where it stands. They change:
compare before you promise anybody a figure.
"""

from typing import Any

import msgspec

DATED = "November 2026"
_GIB, _TIB = 1024**3, 1024**4


class Price(msgspec.Struct, frozen=True):
    """What one of `unit` costs, and where that is written."""

    dollars: float
    unit: str
    source: str

    def of(self, amount: float) -> float:
        """Return what so many cost."""
        return self.dollars * amount


_RUN = "https://cloud.google.com/run/pricing"
_PUBSUB = "https://cloud.google.com/pubsub/pricing"
_BIGQUERY = "https://cloud.google.com/bigquery/pricing"
_OBSERVABILITY = "https://cloud.google.com/products/observability/pricing"
_SCHEDULER = "https://cloud.google.com/scheduler/pricing"

PUBSUB_BYTE = Price(40 / _TIB, "byte published, and byte delivered ($40 per TiB)", _PUBSUB)
SUBSCRIPTION_BYTE = Price(50 / _TIB, "byte delivered by a BigQuery subscription ($50 per TiB)", _PUBSUB)
APPENDED_BYTE = Price(0.025 / _GIB, "byte appended by the Storage Write API ($0.025 per GiB)", _BIGQUERY)
STORED_BYTE_MONTH = Price(0.02 / _GIB, "byte stored for a month ($0.02 per GiB)", _BIGQUERY)
QUERIED_BYTE = Price(6.25 / _TIB, "byte read by a query, at least 10 MB a table ($6.25 per TiB)", _BIGQUERY)
VCPU_S = Price(0.000018, "vCPU-second, billed by instance", _RUN)
MEMORY_GIB_S = Price(0.000002, "GiB-second, billed by instance", _RUN)
SPAN = Price(0.20 / 1e6, "span of a trace ($0.20 per million)", _OBSERVABILITY)
SAMPLE = Price(0.06 / 1e6, "sample of a metric by Managed Prometheus ($0.06 per million)", _OBSERVABILITY)
LOGGED_BYTE = Price(0.50 / _GIB, "byte logged ($0.50 per GiB)", _OBSERVABILITY)
CONDITION_MONTH = Price(0.10, "condition of an alert, a month", _OBSERVABILITY)
SERIES_RETURNED = Price(0.35 / 1e6, "series that a condition returns ($0.35 per million)", _OBSERVABILITY)
JOB_MONTH = Price(0.10, "scheduled job, a month", _SCHEDULER)


def prices() -> list[Price]:
    """Return all of them."""
    found: dict[str, Any] = globals()
    return [value for value in found.values() if isinstance(value, Price)]
