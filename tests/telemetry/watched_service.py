"""Settings of services whose traces and metrics a test looks at, and what callers of them send."""

import secrets
from typing import Any

import msgspec
import pytest

from app.settings.load import Settings
from app.telemetry import tracing
from sluice.testing.service import SETTINGS

NAMES = frozenset(value for name, value in vars(tracing).items() if name.isupper() and isinstance(value, str))
"""The attributes that spans may have."""
AT_GOOGLE = {"bigquery_project": "p", "telemetry_location": "europe-west1"}
SUBSCRIPTION = "projects/p/subscriptions/s"
EXPORTING = pytest.mark.filterwarnings(r"ignore:Deprecated since version 1\.4\.0:DeprecationWarning:opentelemetry")
"""For tests that export to Cloud Trace: the exporter uses what OpenTelemetry's SDK has since deprecated."""


def traced(url: str, **changed: Any) -> Settings:
    """Return settings of a service whose traces go to the Cloud Trace at `url`; only others decide what is traced."""
    told = {"traces": "cloud", "cloud_trace_url": url, "trace_ratio": 0.0, **AT_GOOGLE} | changed
    return SETTINGS.replace(**told)


def measured(url: str, **changed: Any) -> Settings:
    """Return settings of a service whose metrics go to the Telemetry API at `url`, at its end."""
    told = {"metrics": ("cloud",), "metrics_interval_s": 3600.0, **AT_GOOGLE} | {"cloud_telemetry_url": url}
    return SETTINGS.replace(**told | changed)


class Publisher(msgspec.Struct, frozen=True):
    """The span of whoever calls, and whether it is recorded there."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """What it sends along (https://www.w3.org/TR/trace-context/#traceparent-header)."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    @property
    def attributes(self) -> dict[str, str]:
        """What Pub/Sub's client libraries put into a message."""
        return {"googclient_traceparent": self.traceparent}


def caller(*, sampled: bool = True) -> Publisher:
    """Return a caller with a trace of its own."""
    return Publisher(secrets.token_hex(16), secrets.token_hex(8), sampled)
