"""The numbers of the process as OpenTelemetry's data: counters and gauges through its instruments, histograms beside.

OpenTelemetry's SDK collects instruments that are asked (observable ones) for counters and gauges, not for histograms;
ours are put among what it has collected, as its own data (https://opentelemetry.io/docs/specs/otel/metrics/data-model/).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from time import time_ns
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData

from app.telemetry.histogram import Histogram
from app.telemetry.metrics import Metrics, Values


def observe(metrics: Metrics, meter: Meter) -> None:
    """Make an instrument of every counter of `metrics`, and of every gauge that is watched by now."""
    for instrument, values in metrics.counts().items():
        meter.create_observable_counter(instrument.name, [_callback(values)], instrument.unit, instrument.description)
    for instrument, values in metrics.gauges().items():
        meter.create_observable_gauge(instrument.name, [_callback(values)], instrument.unit, instrument.description)


def _callback(values: Callable[[], Values]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: [Observation(value, attributes) for value, attributes in values()]


class Collection:
    """Puts the histograms of `metrics` among what the SDK has collected."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._started_ns = metrics, time_ns()

    def complete(self, data: MetricsData) -> MetricsData:
        """Return `data` with the histograms that have a value; there is always some data, as counters begin at 0."""
        now_ns = time_ns()
        found = [self._metric(histogram, now_ns) for histogram in self._metrics.histograms]
        histograms = [metric for metric in found if metric.data.data_points]
        resource, *others = data.resource_metrics
        scope, *other_scopes = resource.scope_metrics
        scope = replace(scope, metrics=[*scope.metrics, *histograms])
        return MetricsData([replace(resource, scope_metrics=[scope, *other_scopes]), *others])

    def _metric(self, histogram: Histogram, now_ns: int) -> Metric:
        instrument = histogram.instrument
        points = [
            HistogramDataPoint(
                attributes=attributes,
                start_time_unix_nano=self._started_ns,
                time_unix_nano=now_ns,
                count=sum(point.counts),
                sum=point.total,
                bucket_counts=list(point.counts),
                explicit_bounds=instrument.bounds,
                min=point.least,
                max=point.greatest,
            )
            for attributes, point in histogram.points()
        ]
        return Metric(
            name=instrument.name,
            description=instrument.description,
            unit=instrument.unit,
            data=HistogramData(points, AggregationTemporality.CUMULATIVE),
        )


class Completing(MetricExporter):
    """Hands complete collections to another exporter."""

    def __init__(self, exporter: MetricExporter, collection: Collection) -> None:
        super().__init__()
        self._exporter, self._collection = exporter, collection

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export a collection, with the histograms."""
        return self._exporter.export(self._collection.complete(metrics_data), timeout_millis=timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Export what the exporter holds back."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Let go of what the exporter has opened."""
        self._exporter.shutdown(timeout_millis=timeout_millis, **kwargs)
