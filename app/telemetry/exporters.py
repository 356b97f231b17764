"""The exporters of traces and metrics. Their packages are imported only if the exporter is used."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.runtime.imports import missing_package
from app.settings.load import Settings, SettingsError
from app.telemetry.google_telemetry import MAX_POINTS, authorized_session

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

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
                exporters.append(OTLPMetricExporter(**arguments, max_export_batch_size=MAX_POINTS))
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
    url = settings.telemetry.cloud_telemetry_url if to_google else settings.telemetry.otlp_url
    session = {"session": authorized_session(settings)} if to_google else {}
    return {"endpoint": f"{url}/v1/{signal}", "timeout": 10, **session}


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
