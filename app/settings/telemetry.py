"""Settings of telemetry: traces and metrics."""

from typing import Annotated, Literal

from msgspec import Meta

from app.settings.fields import FORM, Room


class TelemetrySettings(Room, frozen=True, kw_only=True):
    """Where traces and metrics go, and how many traces are recorded."""

    system: Annotated[
        str,
        Meta(
            pattern="^[a-z][a-z0-9-]{0,62}$",
            extra={FORM: "a name of at most 63 lower-case letters, digits and hyphens, a letter first, such as orders"},
            description="The name of this deployment in traces and metrics, to tell several in one project or "
            "dashboard apart.",
        ),
    ] = "sluice"
    traces: Annotated[
        Literal["none", "cloud", "cloud-otlp", "otlp"],
        Meta(
            description="The receiver of traces: none, `cloud` (Cloud Trace, through its own API), `cloud-otlp` (Cloud "
            "Trace, through Google's Telemetry API), or an OTLP collector (over HTTP)."
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
    max_traces_per_s: Annotated[
        float,
        Meta(
            gt=0,
            description="The most messages traced per second on an instance, whatever their sampling decision; "
            "the same for requests.",
        ),
    ] = 20.0
    metrics: Annotated[
        tuple[Literal["prometheus", "cloud", "otlp"], ...],
        Meta(
            description="The receivers of metrics: `prometheus` serves them at `/metrics` (scope `metrics`), "
            "`cloud` is Cloud Monitoring (OTLP to Google's Telemetry API), `otlp` a collector."
        ),
    ] = ("prometheus",)
    metrics_interval_s: Annotated[
        float,
        Meta(
            ge=10,
            le=3600,
            description="The interval at which metrics are sent to the collector or to Cloud Monitoring, which "
            "accepts them every 5 s at most and bills each sample.",
        ),
    ] = 60.0
    telemetry_project: Annotated[
        str, Meta(description="The project that receives traces and metrics. Empty: the project of the tables.")
    ] = ""
    telemetry_location: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9-]*$",
            extra={FORM: "a region such as europe-west1"},
            description="The Google Cloud region under which Cloud Monitoring stores metrics. Empty: the region of the "
            "metadata server, which every instance on Google Cloud has.",
        ),
    ] = ""
    otlp_url: Annotated[
        str,
        Meta(
            pattern="^https?://[^/]+$",
            extra={FORM: "an address without a path, such as http://127.0.0.1:4318"},
            description="The URL of the OTLP collector, without `/v1/traces` and `/v1/metrics`.",
        ),
    ] = "http://127.0.0.1:4318"
    cloud_trace_url: Annotated[
        str,
        Meta(
            pattern="^https?://[^/]+$",
            extra={FORM: "an address without a path, such as https://cloudtrace.googleapis.com"},
            description="The URL of Cloud Trace (gRPC); an `http` URL is an emulator, called without credentials.",
        ),
    ] = "https://cloudtrace.googleapis.com"
    cloud_telemetry_url: Annotated[
        str,
        Meta(
            # Credentials go there: never over a network in plain text.
            pattern=r"^(https://[^/]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?)$",
            extra={FORM: "an https address without a path, such as https://telemetry.googleapis.com"},
            description="The URL of Google's Telemetry API (OTLP over HTTP), called with Application Default "
            "Credentials; `http` only on this machine.",
        ),
    ] = "https://telemetry.googleapis.com"
    backlog: Annotated[
        str,
        Meta(
            pattern="^(|https?://.+)$",
            extra={FORM: "an address such as http://127.0.0.1:8086/subscriptions"},
            description="The address at which the local Pub/Sub lists its subscriptions, for the backlog on the page "
            "and in `/health/ready`. The service asks only while the page is open or health is read. Empty: not known.",
        ),
    ] = ""
