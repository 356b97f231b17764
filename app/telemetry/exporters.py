"""The exporters of traces and metrics. Their packages are imported only if the exporter is used.

What Google's Telemetry API demands (OTLP over HTTP with Application Default Credentials):
https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics (resource attributes) and
https://docs.cloud.google.com/stackdriver/quotas (points in a request).
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from app.runtime.imports import missing_package
from app.settings.load import Settings, SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

_MAX_POINTS = 200  # of metrics that one request may have
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_METADATA_WITHIN_S = 3.0
# Resource attributes that become labels of a span: the system and the instance.
_LABELS = r"service\..+"


def span_exporter(settings: Settings) -> "SpanExporter | None":
    """Return the span exporter that `settings.telemetry.traces` names; None if traces are off.

    Raises:
        SettingsError: a package is missing, or there are no credentials.
    """
    receiver = settings.telemetry.traces
    if receiver == "none":
        return None
    with _needs(f"SLUICE_TRACES={receiver}"):
        if receiver == "cloud":
            return _cloud_trace(settings)
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(**_otlp(settings, "traces", to_google=receiver == "cloud-otlp"))


def metric_exporters(settings: Settings) -> "list[MetricExporter]":
    """Return the metric exporters that `settings.telemetry.metrics` names; `prometheus` needs none, as it scrapes.

    Raises:
        SettingsError: as `span_exporter`.
    """
    exporters: list[MetricExporter] = []
    for receiver in settings.telemetry.metrics:
        if receiver != "prometheus":
            with _needs(f"SLUICE_METRICS={receiver}"):
                from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

                arguments = _otlp(settings, "metrics", to_google=receiver == "cloud")
                exporters.append(OTLPMetricExporter(**arguments, max_export_batch_size=_MAX_POINTS))
    return exporters


@contextmanager
def _needs(what: str) -> Iterator[None]:
    """Say what a setting lacks: a package, or credentials."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(missing_package(what, error)) from error
    except Exception as error:
        if type(error).__module__ != "google.auth.exceptions":  # by name: not imported unless needed
            raise
        raise SettingsError(f"{what} needs credentials, and there are no usable ones: {error}") from error


def _otlp(settings: Settings, signal: str, *, to_google: bool) -> dict[str, Any]:
    """Return the arguments of an exporter; for a collector none, as OpenTelemetry's own variables tell the rest."""
    if not to_google:
        return {}
    endpoint = f"{settings.telemetry.cloud_telemetry_url}/v1/{signal}"
    return {"endpoint": endpoint, "timeout": 10, "session": _authorized_session(settings)}


def _cloud_trace(settings: Settings) -> "SpanExporter":
    from google.cloud.trace_v2 import TraceServiceClient
    from google.cloud.trace_v2.services.trace_service.transports import TraceServiceGrpcTransport
    from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter

    client = TraceServiceClient(transport=_transport(TraceServiceGrpcTransport, settings.telemetry.cloud_trace_url))
    with warnings.catch_warnings():
        # It warns that OTLP replaces it. It stays the default while Google maintains it, as its API needs no further
        # role; its replacement is SLUICE_TRACES=cloud-otlp (docs/decisions/0015-metrics-by-otlp.md).
        warnings.filterwarnings("ignore", message=".*deprecated", category=DeprecationWarning)
        made: SpanExporter = CloudTraceSpanExporter(settings.project, client=client, resource_regex=_LABELS)  # type: ignore[no-untyped-call] # theirs
    return made


def _transport(transport: Any, url: str) -> Any:
    """Return a transport for Google's clients; an `http` address has no encryption and no credentials."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return transport(host=parts.netloc)
    import grpc

    return transport(channel=grpc.insecure_channel(parts.netloc))


def uses_google(settings: Settings) -> bool:
    """Return whether traces or metrics go to Google's Telemetry API."""
    return "cloud" in settings.telemetry.metrics or settings.telemetry.traces == "cloud-otlp"


def _authorized_session(settings: Settings) -> Any:
    """Return a session of `requests` that adds a token, and renews it before it expires.

    Raises:
        google.auth.exceptions.DefaultCredentialsError: there are no credentials.
    """
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=_SCOPES)
    session = AuthorizedSession(credentials)
    # The project whose quota is used, and which must have the API enabled.
    session.headers["x-goog-user-project"] = settings.project
    return session


def resource_attributes(settings: Settings) -> dict[str, str]:
    """Return the attributes of this process that become the resource `prometheus_target`; a point needs a location.

    Raises:
        SettingsError: nothing tells the location.
    """
    on_cloud_run = {"cloud.platform": "gcp_cloud_run"} if "K_SERVICE" in os.environ else {}
    return {
        "cloud.provider": "gcp",
        "cloud.region": settings.telemetry.telemetry_location or _own_region(),
        "gcp.project_id": settings.project,
        **on_cloud_run,
    }


def _own_region() -> str:
    """Return the region that the metadata server names, in the form projects/NUMBER/regions/REGION."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")  # as google.auth finds it
    request = Request(f"http://{host}/computeMetadata/v1/instance/region", headers={"Metadata-Flavor": "Google"})
    try:
        with urlopen(request, timeout=_METADATA_WITHIN_S) as response:  # noqa: S310 - always http
            region: str = response.read().decode()
    except OSError as error:
        raise SettingsError(
            "SLUICE_METRICS=cloud and SLUICE_TRACES=cloud-otlp need an instance on Google Cloud, whose metadata server "
            f"names the region ({type(error).__name__}); elsewhere, send them to a collector (otlp)"
        ) from error
    return region.rpartition("/")[2]
