"""Traces and metrics for an OTLP collector, over HTTP."""

import gzip
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sluice.testing.service import GOOD, SETTINGS, authorization, envelope, running
from tests.support.http_server import Handler, serving_http
from tests.telemetry.watched_service import caller


async def test_any_collector_can_have_traces_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, ids and parents arrive as they do in Cloud Trace, and the numbers with their units."""
    settings = SETTINGS.replace(traces="otlp", metrics=("otlp",), system="orders", trace_ratio=0.0)
    traces, metrics, sender = ExportTraceServiceRequest(), ExportMetricsServiceRequest(), caller()

    class Collector(Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message: Any = traces if self.path == "/v1/traces" else metrics
            message.ParseFromString(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.reply(b"", "application/x-protobuf")

    with serving_http(Collector) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        async with running(settings) as service:
            body = envelope(msgspec.json.encode(GOOD), "1", sender.attributes)
            answer = await service.client.post("/pubsub/push", content=body, headers=authorization())
            assert answer.status_code == 204
    (resource,) = traces.resource_spans
    told = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (told["service.name"], told["service.namespace"]) == ("sluice", "orders")
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert set(spans) == {"process s", "append records"}
    pushed, appended = spans["process s"], spans["append records"]
    assert (pushed.trace_id.hex(), pushed.parent_span_id.hex()) == (sender.trace_id, sender.span_id)
    assert (appended.trace_id, appended.parent_span_id) == (pushed.trace_id, pushed.span_id)
    (measured,) = metrics.resource_metrics
    sent = {metric.name: metric for scope in measured.scope_metrics for metric in scope.metrics}
    delay, stored = sent["sluice_message_stored_delay_seconds"], sent["sluice_record_stored_total"]
    assert (delay.unit, [point.count for point in delay.histogram.data_points]) == ("s", [1])
    assert [point.as_int for point in stored.sum.data_points] == [1]
    assert stored.sum.is_monotonic
