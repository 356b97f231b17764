"""The exporters of traces and metrics. Their packages are imported only if the exporter is used."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar, assert_never
from urllib.parse import urlsplit

from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

from app.settings.load import Settings, SettingsError

_TIMEOUT_S = 10
_Exporter = TypeVar("_Exporter")
_EXTRAS = {"cloud": "cloud", "otlp": "otlp"}  # in pyproject.toml
# Resource attributes that become labels of a span: the system and the instance.
_LABELS = r"service\..+"


def span_exporter(settings: Settings) -> SpanExporter | None:
    """Return the span exporter that `settings.telemetry.traces` names; None if traces are off.

    Raises:
        SettingsError: a package is missing, or there are no credentials.
    """
    match settings.telemetry.traces:
        case "none":
            return None
        case "cloud":
            return _made("SLUICE_TRACES", "cloud", lambda: _cloud_trace(settings))
        case "otlp":
            return _made("SLUICE_TRACES", "otlp", lambda: _otlp_traces(settings))
        case _:
            assert_never(settings.telemetry.traces)


def metric_exporters(settings: Settings) -> list[MetricExporter]:
    """Return the metric exporters that `settings.telemetry.metrics` names; `prometheus` needs none, as it scrapes.

    Raises:
        SettingsError: as `span_exporter`.
    """
    made: list[MetricExporter] = []
    for receiver in settings.telemetry.metrics:
        match receiver:
            case "prometheus":
                pass
            case "cloud":
                made.append(_made("SLUICE_METRICS", "cloud", lambda: _cloud_monitoring(settings)))
            case "otlp":
                made.append(_made("SLUICE_METRICS", "otlp", lambda: _otlp_metrics(settings)))
            case _:
                assert_never(receiver)
    return made


def _made(variable: str, receiver: str, make: Callable[[], _Exporter]) -> _Exporter:
    try:
        with warnings.catch_warnings():
            # Google's exporters warn that OTLP will replace them (docs/decisions/0010).
            warnings.simplefilter("ignore", DeprecationWarning)
            return make()
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{variable}={receiver} needs the package {error.name}, which is not installed: install it with `uv "
            f"sync --extra {_EXTRAS[receiver]}`"
        ) from error
    except Exception as error:
        if type(error).__module__ != "google.auth.exceptions":  # by name: not imported unless needed
            raise
        raise SettingsError(
            f"{variable}={receiver} needs credentials, and there are no usable ones: {error}"
        ) from error


def _cloud_trace(settings: Settings) -> SpanExporter:
    from google.cloud.trace_v2 import TraceServiceClient  # noqa: PLC0415 - see the module
    from google.cloud.trace_v2.services.trace_service.transports import (  # noqa: PLC0415 - likewise
        TraceServiceGrpcTransport,
    )
    from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter  # noqa: PLC0415 - likewise

    client = TraceServiceClient(transport=_transport(TraceServiceGrpcTransport, settings.telemetry.cloud_trace_url))
    made: SpanExporter = CloudTraceSpanExporter(settings.project, client=client, resource_regex=_LABELS)  # type: ignore[no-untyped-call] # theirs
    return made


def _cloud_monitoring(settings: Settings) -> MetricExporter:
    from google.cloud.monitoring_v3 import MetricServiceClient  # noqa: PLC0415 - see the module
    from google.cloud.monitoring_v3.services.metric_service.transports import (  # noqa: PLC0415 - likewise
        MetricServiceGrpcTransport,
    )
    from opentelemetry.exporter.cloud_monitoring import CloudMonitoringMetricsExporter  # noqa: PLC0415 - likewise

    client = MetricServiceClient(
        transport=_transport(MetricServiceGrpcTransport, settings.telemetry.cloud_monitoring_url)
    )
    return CloudMonitoringMetricsExporter(project_id=settings.project, client=client)


def _transport(transport: Any, url: str) -> Any:
    """Return a transport for Google's clients; an `http` address has no encryption and no credentials."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return transport(host=parts.netloc)
    import grpc  # noqa: PLC0415 - see the module

    return transport(channel=grpc.insecure_channel(parts.netloc))


def _otlp_traces(settings: Settings) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - see the module
        OTLPSpanExporter,
    )

    return OTLPSpanExporter(endpoint=f"{settings.telemetry.otlp_url}/v1/traces", timeout=_TIMEOUT_S)


def _otlp_metrics(settings: Settings) -> MetricExporter:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - see the module
        OTLPMetricExporter,
    )

    return OTLPMetricExporter(endpoint=f"{settings.telemetry.otlp_url}/v1/metrics", timeout=_TIMEOUT_S)
