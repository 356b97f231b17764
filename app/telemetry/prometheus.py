"""`GET /metrics`: the metrics of this instance, in Prometheus format."""

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import MetricsData
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from app.http import paths
from app.http.contract import CONTRACT, TEXT, Answer, Contract, media
from app.http.reading import METHODS, read_response
from app.telemetry.collection import Collection


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
        "reports its own numbers; docs/operations.md describes them.",
        tags=["operations"],
    )
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            encode, media_type = choose_encoder(request.headers.get("accept", ""))
        except (TypeError, ValueError):  # it asks for an invalid version
            encode, media_type = choose_encoder("")
        return read_response(request, encode(reader.registry), media_type)

    return metrics
