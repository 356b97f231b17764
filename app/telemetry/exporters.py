"""Who gets traces and metrics. What one of them needs is imported for that one only."""

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
# Resource attributes that become labels of a span: which system, which instance.
_LABELS = r"service\..+"


def span_exporter(settings: Settings) -> SpanExporter | None:
    """Return what sends spans where `settings.traces` says; None where that is nowhere.

    Raises:
        SettingsError: a package is missing, or there are no credentials.
    """
    match settings.traces:
        case "none":
            return None
        case "cloud":
            return _made("SLUICE_TRACES", "cloud", lambda: _cloud_trace(settings))
        case "otlp":
            return _made("SLUICE_TRACES", "otlp", lambda: _otlp_traces(settings))
        case _:
            assert_never(settings.traces)


def metric_exporters(settings: Settings) -> list[MetricExporter]:
    """Return what sends metrics where `settings.metrics` says; `prometheus` asks for them itself.

    Raises:
        SettingsError: as `span_exporter`.
    """
    made: list[MetricExporter] = []
    for receiver in settings.metrics:
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
            # The exporters of Google say that OTLP is to replace them (docs/decisions/0010).
            warnings.simplefilter("ignore", DeprecationWarning)
            return make()
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{variable}={receiver} needs the package {error.name}, which is not installed: "
            f"`uv sync --extra {_EXTRAS[receiver]}` installs it"
        ) from error
    except Exception as error:
        if type(error).__module__ != "google.auth.exceptions":  # not imported where it is not needed
            raise
        raise SettingsError(f"{variable}={receiver}: there are no usable credentials: {error}") from error


def _cloud_trace(settings: Settings) -> SpanExporter:
    from google.cloud.trace_v2 import TraceServiceClient  # noqa: PLC0415 - see the module
    from google.cloud.trace_v2.services.trace_service.transports import (  # noqa: PLC0415 - likewise
        TraceServiceGrpcTransport,
    )
    from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter  # noqa: PLC0415 - likewise

    client = TraceServiceClient(transport=_transport(TraceServiceGrpcTransport, settings.cloud_trace_url))
    made: SpanExporter = CloudTraceSpanExporter(settings.project, client=client, resource_regex=_LABELS)  # type: ignore[no-untyped-call] # theirs
    return made


def _cloud_monitoring(settings: Settings) -> MetricExporter:
    from google.cloud.monitoring_v3 import MetricServiceClient  # noqa: PLC0415 - see the module
    from google.cloud.monitoring_v3.services.metric_service.transports import (  # noqa: PLC0415 - likewise
        MetricServiceGrpcTransport,
    )
    from opentelemetry.exporter.cloud_monitoring import CloudMonitoringMetricsExporter  # noqa: PLC0415 - likewise

    client = MetricServiceClient(transport=_transport(MetricServiceGrpcTransport, settings.cloud_monitoring_url))
    return CloudMonitoringMetricsExporter(project_id=settings.project, client=client)


def _transport(transport: Any, url: str) -> Any:
    """Return a transport of Google's clients; to an `http` address without encryption and credentials."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return transport(host=parts.netloc)
    import grpc  # noqa: PLC0415 - see the module

    return transport(channel=grpc.insecure_channel(parts.netloc))


def _otlp_traces(settings: Settings) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - see the module
        OTLPSpanExporter,
    )

    return OTLPSpanExporter(endpoint=f"{settings.otlp_url}/v1/traces", timeout=_TIMEOUT_S)


def _otlp_metrics(settings: Settings) -> MetricExporter:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - see the module
        OTLPMetricExporter,
    )

    return OTLPMetricExporter(endpoint=f"{settings.otlp_url}/v1/metrics", timeout=_TIMEOUT_S)
