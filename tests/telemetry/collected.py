"""What whoever collects the metrics of a service gets, in memory."""

from collections.abc import Mapping
from typing import Any

import msgspec
from opentelemetry.sdk.metrics.export import Metric, MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.resources import Resource

from app.telemetry.metrics import Metrics
from app.telemetry.otlp_metrics import meter_provider
from sluice.testing.service import Service


class Point(msgspec.Struct, frozen=True):
    """A value under some attributes: a number, or a histogram's count."""

    attributes: Mapping[str, Any]
    value: float


class _Taking(MetricExporter):
    """Keeps what it is handed."""

    def __init__(self, taken: list[MetricsData]) -> None:
        super().__init__()
        self._taken = taken

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        self._taken.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        pass


def collect(service: Service) -> dict[str, Metric]:
    """Return the metrics of a running service, by name, as OpenTelemetry's data."""
    return collect_from(service.app.instance.metrics)


def collect_from(metrics: Metrics) -> dict[str, Metric]:
    """Return what exporters are handed of `metrics`, by name."""
    taken: list[MetricsData] = []
    provider = meter_provider(metrics, [_Taking(taken)], Resource({}), 3_600.0)
    provider.shutdown()
    found = [metric for scope in taken[-1].resource_metrics[0].scope_metrics for metric in scope.metrics]
    assert len({metric.name for metric in found}) == len(found)
    return {metric.name: metric for metric in found}


def points(metric: Metric) -> list[Point]:
    """Return the points of a metric."""
    found: list[Any] = list(metric.data.data_points)
    return [
        Point(dict(point.attributes or {}), point.count if hasattr(point, "count") else point.value) for point in found
    ]


def values(metric: Metric, *names: str) -> dict[Any, float]:
    """Return the values of a metric by those of these attributes; of one attribute, by its value."""
    found: dict[Any, float] = {}
    for point in points(metric):
        key = tuple(point.attributes[name] for name in names)
        short = key[0] if len(key) == 1 else key
        found[short] = found.get(short, 0) + point.value
    return found
