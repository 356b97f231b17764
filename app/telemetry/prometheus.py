"""`GET /metrics`: the numbers of this process, in Prometheus's formats."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.http import paths
from app.http.contract import CONTRACT, TEXT, Answer, Contract, media
from app.http.reading import METHODS, read_response
from app.telemetry.metrics import Metrics


class PrometheusCollector(Collector):
    """Collects the numbers of `metrics` when it is scraped; `target` says whose they are."""

    def __init__(self, metrics: Metrics, target: Mapping[str, str]) -> None:
        self._metrics, self._target = metrics, {name.replace(".", "_"): value for name, value in target.items()}

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values."""
        yield InfoMetricFamily("target", "Target metadata", self._target)
        for instrument, values in (self._metrics.counts() | self._metrics.gauges).items():
            make = CounterMetricFamily if instrument.kind == "counter" else GaugeMetricFamily
            family = make(instrument.name, instrument.description, labels=instrument.attributes)
            for value, attributes in values():
                family.add_metric([str(attributes[name]) for name in instrument.attributes], value)
            yield family
        for histogram in self._metrics.histograms:
            instrument = histogram.instrument
            buckets = HistogramMetricFamily(instrument.name, instrument.description, labels=instrument.attributes)
            bounds = [*map(str, instrument.bounds), "+Inf"]
            for attributes, point in histogram.points():
                counts = [*zip(bounds, accumulate(point.counts), strict=True)]
                buckets.add_metric([str(value) for value in attributes.values()], counts, point.total)
            yield buckets


_CONTRACT = Contract(
    answers={200: Answer("The metrics.", {"text/plain": media(TEXT)})},
    problems={401: "The token or API key is missing or not valid.", 403: "The caller lacks the scope `metrics`."},
)


def metrics_route(collector: Collector) -> HTTPRouteHandler:
    """Return the route where `collector` is scraped."""

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
        return read_response(request, encode(collector), media_type)

    return metrics
