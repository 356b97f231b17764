"""The metrics as OpenTelemetry data: counters and gauges through its instruments, histograms added afterwards.

OpenTelemetry's SDK has observable counters and gauges, but no observable histograms. Ours are added to what it has
collected, in its data model (https://opentelemetry.io/docs/specs/otel/metrics/data-model/). `GET /metrics` serves them.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from time import time_ns
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from opentelemetry.exporter.prometheus import PrometheusMetricReader
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
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from app.http import paths
from app.http.contract import CONTRACT, TEXT, Answer, Contract, media
from app.http.reading import METHODS, read_response
from app.telemetry.metrics import Histogram, Metrics, Point, Values


def observe(metrics: Metrics, meter: Meter) -> None:
    """Create an instrument for every counter of `metrics`, and for every gauge registered by now."""
    for instrument, values in metrics.counts().items():
        meter.create_observable_counter(instrument.name, [_callback(values)], instrument.unit, instrument.description)
    for instrument, values in metrics.gauges.items():
        meter.create_observable_gauge(instrument.name, [_callback(values)], instrument.unit, instrument.description)


def _callback(values: Callable[[], Values]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: [Observation(value, attributes) for value, attributes in values()]


class Collection:
    """Adds the histograms of `metrics` to the data that the SDK has collected."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics, self._started_ns = metrics, time_ns()

    def complete(self, data: MetricsData) -> MetricsData:
        """Return `data` with all histograms that have points; it is never empty, as counters begin at 0."""
        now_ns = time_ns()
        metrics = [self._metric(histogram, now_ns) for histogram in self._metrics.histograms]
        histograms = [metric for metric in metrics if metric.data.data_points]
        resource, *others = data.resource_metrics
        scope, *other_scopes = resource.scope_metrics
        scope = replace(scope, metrics=[*scope.metrics, *histograms])
        return MetricsData([replace(resource, scope_metrics=[scope, *other_scopes]), *others])

    def _metric(self, histogram: Histogram, now_ns: int) -> Metric:
        instrument = histogram.instrument
        by_attributes = {tuple(attributes.values()): point for attributes, point in histogram.points()}
        empty = Point([0] * (len(instrument.bounds) + 1), least=0.0, greatest=0.0)
        points = [
            HistogramDataPoint(
                attributes=dict(zip(instrument.attributes, map(str, values), strict=True)),  # labels are texts
                start_time_unix_nano=self._started_ns,
                time_unix_nano=now_ns,
                count=sum(point.counts),
                sum=point.total,
                bucket_counts=list(point.counts),
                explicit_bounds=instrument.bounds,
                min=point.least,
                max=point.greatest,
            )
            for values, point in (dict.fromkeys(instrument.starts, empty) | by_attributes).items()
        ]
        return Metric(
            name=instrument.name,
            description=instrument.description,
            unit=instrument.unit,
            data=HistogramData(points, AggregationTemporality.CUMULATIVE),
        )


class Completing(MetricExporter):
    """Passes complete collections to another exporter."""

    def __init__(self, exporter: MetricExporter, collection: Collection) -> None:
        super().__init__()
        self._exporter, self._collection = exporter, collection

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export a collection, including the histograms."""
        return self._exporter.export(self._collection.complete(metrics_data), timeout_millis=timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut down the exporter."""
        self._exporter.shutdown(timeout_millis=timeout_millis, **kwargs)


class Scraped(PrometheusMetricReader):
    """Collects whenever it is scraped; `registry` is private, so several instances can live in one process."""

    def __init__(self, collection: Collection) -> None:
        self.registry = CollectorRegistry()
        super().__init__(scope_info_enabled=False, registry=self.registry)
        self._collection = collection

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        super()._receive_metrics(self._collection.complete(metrics_data), timeout_millis, **kwargs)


_CONTRACT = Contract(
    answers={200: Answer("The metrics.", {"text/plain": media(TEXT)})},
    problems={401: "The token or API key is missing or not valid.", 403: "The caller lacks the scope `metrics`."},
)


def metrics_route(reader: Scraped) -> HTTPRouteHandler:
    """Return the route where `reader` is scraped."""

    @route(
        paths.METRICS,
        http_method=METHODS,
        operation_id="metrics",
        opt={"scope": "metrics", CONTRACT: _CONTRACT},
        summary="Read the metrics of this instance",
        description="The endpoint for Prometheus, in its text format or OpenMetrics, as Accept requests. Each instance "
        "reports its own numbers; docs/metrics.md describes them.",
        tags=["operations"],
    )
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            encode, media_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # it asks for an invalid version
            encode, media_type = choose_encoder("")
        return read_response(request, encode(reader.registry), media_type)

    return metrics
