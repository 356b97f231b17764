"""What whoever collects the metrics of a service gets, in memory."""

from collections.abc import Mapping
from typing import Any

import msgspec
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric

from app.telemetry.metric_collection import Collection, observe
from app.telemetry.metrics import Metrics
from sluice.testing.service import Service


class Point(msgspec.Struct, frozen=True):
    """A value under some attributes: a number, or a histogram's count."""

    attributes: Mapping[str, Any]
    value: float


def collect(service: Service) -> dict[str, Metric]:
    """Return the metrics of a running service, by name, as OpenTelemetry's data."""
    return collect_from(service.app.instance.metrics)


def collect_from(metrics: Metrics) -> dict[str, Metric]:
    """Return what exporters are handed of `metrics`, by name."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    observe(metrics, provider.get_meter("test"))
    data = reader.get_metrics_data()
    assert data is not None
    complete = Collection(metrics).complete(data)
    provider.shutdown()
    found = [metric for scope in complete.resource_metrics[0].scope_metrics for metric in scope.metrics]
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
