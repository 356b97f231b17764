"""Settings of telemetry: traces and metrics."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.room import Room


class TelemetrySettings(Room, frozen=True, kw_only=True):
    """Where traces and metrics go, and how many traces are recorded."""

    system: Annotated[
        str,
        Meta(
            pattern="^[a-z][a-z0-9-]{0,62}$",
            description="The name of this system in traces and metrics, where several share a project and a dashboard.",
        ),
    ] = "sluice"
    traces: Annotated[
        Literal["none", "cloud", "otlp"],
        Meta(description="Where traces go: nowhere, to Cloud Trace, or to an OTLP collector (over HTTP)."),
    ] = "none"
    trace_ratio: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Sampling ratio for messages and requests that carry no sampling decision; a publisher's "
            "decision is respected.",
        ),
    ] = 0.01
    max_traces_per_s: Annotated[
        float,
        Meta(
            gt=0,
            description="The most messages that an instance traces in a second, and the most requests.",
        ),
    ] = 20.0
    metrics: Annotated[
        tuple[Literal["prometheus", "cloud", "otlp"], ...],
        Meta(
            description="Who gets the metrics: `prometheus` reads them at `/metrics` (scope `metrics`), `cloud` is "
            "Cloud Monitoring, `otlp` a collector."
        ),
    ] = ("prometheus",)
    metrics_interval_s: Annotated[
        float,
        Meta(
            ge=10,
            le=3600,
            description="How often metrics are sent to Cloud Monitoring, which takes them every 5 s at most and bills "
            "each time, or to the collector.",
        ),
    ] = 60.0
    telemetry_project: Annotated[
        str, Meta(description="The project that gets traces and metrics. Empty: that of the tables.")
    ] = ""
    otlp_url: Annotated[
        str,
        Meta(pattern="^https?://[^/]+$", description="The OTLP collector, to whose `/v1/traces` and `/v1/metrics` go."),
    ] = "http://127.0.0.1:4318"
    cloud_trace_url: Annotated[
        str,
        Meta(
            pattern="^https?://[^/]+$",
            description="Where Cloud Trace is (gRPC); `http` is a stand-in, called without credentials.",
        ),
    ] = "https://cloudtrace.googleapis.com"
    cloud_monitoring_url: Annotated[
        str,
        Meta(pattern="^https?://[^/]+$", description="Where Cloud Monitoring is (gRPC); `http` likewise."),
    ] = "https://monitoring.googleapis.com"
