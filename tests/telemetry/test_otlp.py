"""Traces and metrics for an OTLP collector, over HTTP."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sluice.testing.service import GOOD, SETTINGS, authorization, envelope, running
from tests.telemetry.watched_service import caller


class Collector:
    """What an OTLP collector was sent: the message of each path's last request."""

    def __init__(self) -> None:
        self.url = ""
        self.traces, self.metrics = ExportTraceServiceRequest(), ExportMetricsServiceRequest()

    async def take(self, request: web.Request) -> web.Response:
        """Take a request."""
        body = await request.read()
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        message: Any = self.traces if request.path == "/v1/traces" else self.metrics
        message.ParseFromString(body)
        return web.Response(content_type="application/x-protobuf")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """Serve a collector."""
    found = Collector()
    app = web.Application()
    app.router.add_post("/v1/{what}", found.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_any_collector_can_have_traces_and_metrics(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, ids and parents arrive as they do in Cloud Trace, and the numbers with their units."""
    settings = SETTINGS.replace(traces="otlp", metrics=("otlp",), system="orders", trace_ratio=0.0)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    sender = caller()
    async with running(settings) as service:
        body = envelope(msgspec.json.encode(GOOD), "1", sender.attributes)
        assert (await service.client.post("/pubsub/push", content=body, headers=authorization())).status_code == 204
    (resource,) = collector.traces.resource_spans
    told = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (told["service.name"], told["service.namespace"]) == ("sluice", "orders")
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert set(spans) == {"process s", "append records"}
    pushed, appended = spans["process s"], spans["append records"]
    assert (pushed.trace_id.hex(), pushed.parent_span_id.hex()) == (sender.trace_id, sender.span_id)
    assert (appended.trace_id, appended.parent_span_id) == (pushed.trace_id, pushed.span_id)
    (measured,) = collector.metrics.resource_metrics
    metrics = {metric.name: metric for scope in measured.scope_metrics for metric in scope.metrics}
    delay, stored = metrics["sluice_message_stored_delay_seconds"], metrics["sluice_record_stored_total"]
    assert (delay.unit, [point.count for point in delay.histogram.data_points]) == ("s", [1])
    assert [point.as_int for point in stored.sum.data_points] == [1]
    assert stored.sum.is_monotonic
