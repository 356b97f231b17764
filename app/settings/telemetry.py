"""Settings of telemetry: traces and metrics."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.fields import Room


class TelemetrySettings(Room, frozen=True, kw_only=True):
    """Where traces and metrics go, and how many traces are recorded."""

    system: Annotated[
        str,
        Meta(
            pattern="^[a-z][a-z0-9-]{0,62}$",
            description="The name of this deployment in traces and metrics, to tell several in one project or "
            "dashboard apart.",
        ),
    ] = "sluice"
    traces: Annotated[
        Literal["none", "cloud", "cloud-otlp", "otlp"],
        Meta(
            description="The receiver of traces: none, `cloud` (Cloud Trace, through its own API), `cloud-otlp` (Cloud "
            "Trace, through Google's Telemetry API), or `otlp`, a collector (over HTTP) where "
            "OpenTelemetry's own `OTEL_EXPORTER_OTLP_ENDPOINT` says."
        ),
    ] = "none"
    trace_ratio: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="The sampling ratio for messages and requests without a sampling decision; a "
            "publisher's decision is respected.",
        ),
    ] = 0.01
    metrics: Annotated[
        tuple[Literal["prometheus", "cloud", "otlp"], ...],
        Meta(
            description="The receivers of metrics: `prometheus` serves them at `/metrics` (scope `metrics`), "
            "`cloud` is Cloud Monitoring (OTLP to Google's Telemetry API), `otlp` a collector."
        ),
    ] = ("prometheus",)

    # Not settings (app.settings.fields).
    metrics_interval_s: float = 60.0
    """The interval at which metrics are sent; Cloud Monitoring bills each sample."""
    telemetry_location: str = ""
    """The region under which Cloud Monitoring stores metrics. Empty: that of the metadata server."""
    cloud_trace_url: str = "https://cloudtrace.googleapis.com"
    """Cloud Trace (gRPC); an `http` address is a test's own server, called without credentials."""
    cloud_telemetry_url: str = "https://telemetry.googleapis.com"
    """Google's Telemetry API (OTLP over HTTP)."""
