"""The exporters of traces and metrics. Their packages are imported only if the exporter is used."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

from app.runtime.packages import missing_package
from app.settings.load import Settings, SettingsError
from app.telemetry.google_telemetry import MAX_POINTS, authorized_session

_TIMEOUT_S = 10
_Exporter = TypeVar("_Exporter")
# Resource attributes that become labels of a span: the system and the instance.
_LABELS = r"service\..+"


def span_exporter(settings: Settings) -> SpanExporter | None:
    """Return the span exporter that `settings.telemetry.traces` names; None if traces are off.

    Raises:
        SettingsError: a package is missing, or there are no credentials.
    """
    makers = {"cloud": _cloud_trace, "cloud-otlp": _google_traces, "otlp": _otlp_traces}
    receiver = settings.telemetry.traces
    return None if receiver == "none" else _made("SLUICE_TRACES", receiver, makers[receiver], settings)


def metric_exporters(settings: Settings) -> list[MetricExporter]:
    """Return the metric exporters that `settings.telemetry.metrics` names; `prometheus` needs none, as it scrapes.

    Raises:
        SettingsError: as `span_exporter`.
    """
    makers = {"cloud": _google_metrics, "otlp": _otlp_metrics}
    receivers = [each for each in settings.telemetry.metrics if each != "prometheus"]
    return [_made("SLUICE_METRICS", each, makers[each], settings) for each in receivers]


def _made(variable: str, receiver: str, make: Callable[[Settings], _Exporter], settings: Settings) -> _Exporter:
    """Return the exporter for a receiver."""
    try:
        return make(settings)
    except ModuleNotFoundError as error:
        raise SettingsError(missing_package(f"{variable}={receiver}", error)) from error
    except Exception as error:
        if type(error).__module__ != "google.auth.exceptions":  # by name: not imported unless needed
            raise
        raise SettingsError(
            f"{variable}={receiver} needs credentials, and there are no usable ones: {error}"
        ) from error


def _cloud_trace(settings: Settings) -> SpanExporter:
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


def _otlp_traces(settings: Settings) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=f"{settings.telemetry.otlp_url}/v1/traces", timeout=_TIMEOUT_S)


def _otlp_metrics(settings: Settings) -> MetricExporter:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(endpoint=f"{settings.telemetry.otlp_url}/v1/metrics", timeout=_TIMEOUT_S)


def _google_traces(settings: Settings) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(
        endpoint=f"{settings.telemetry.cloud_telemetry_url}/v1/traces",
        timeout=_TIMEOUT_S,
        session=authorized_session(settings),
    )


def _google_metrics(settings: Settings) -> MetricExporter:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(
        endpoint=f"{settings.telemetry.cloud_telemetry_url}/v1/metrics",
        timeout=_TIMEOUT_S,
        session=authorized_session(settings),
        max_export_batch_size=MAX_POINTS,
    )
