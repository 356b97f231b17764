"""Traces and metrics of the service as a real process: what has arrived when it was told to stop."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import httpx
import msgspec
import pytest
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.types import PublisherOptions
from google.cloud.trace_v2 import TraceServiceClient
from google.cloud.trace_v2.services.trace_service.transports import TraceServiceGrpcTransport
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from opentelemetry import trace
from opentelemetry.exporter.cloud_trace import CloudTraceSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from sluice.local.stack import running as running_pubsub
from sluice.local.stack_settings import StackSettings, topic_name
from sluice.testing.service import GOOD, authorization, envelope
from tests.long_form import long
from tests.support.process import free_port, serving, start
from tests.telemetry.cloud_servers import WITHIN_S, CloudServer
from tests.telemetry.watched_service import EXPORTING, caller

pytestmark = EXPORTING


SETTINGS = {"bigquery_project": "p", "traces": "cloud", "trace_ratio": "0", "metrics": "cloud"}


def numbers(cloud: CloudServer) -> dict[str, float | str]:
    """Have a process send all it can to `cloud`, metrics at its end only."""
    return {
        "cloud_trace_url": cloud.url,
        "cloud_telemetry_url": cloud.otlp.url,
        "telemetry_location": "europe-west1",
        "metrics_interval_s": 3_600.0,
        "shutdown_grace_s": 3.0,
    }


async def push(client: httpx.AsyncClient) -> int:
    """Push a record whose publication is traced; return the status."""
    body = envelope(msgspec.json.encode(GOOD), "1", caller().attributes)
    return (await client.post("/pubsub/push", content=body, headers=authorization())).status_code


async def test_what_was_seen_is_handed_over_before_the_process_ends(cloud: CloudServer, tmp_path: Path) -> None:
    """One push, then SIGTERM at once: its spans and the last numbers have arrived."""
    async with serving(tmp_path / "data.duckdb", numbers(cloud), **SETTINGS) as (process, client):
        assert await push(client) == 204
        assert await process.terminate() == 0
    assert {span.name for span in cloud.spans} == {"process s", "append records"}
    assert cloud.rules.refused == []
    assert cloud.rules.points("sluice_record_stored_total") == {(("stream", "records"),): 1}
    ((_, delay),) = cloud.rules.points("sluice_message_stored_delay_seconds").items()
    assert delay.count == 1


@pytest.fixture
def _publishing(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the spans of Pub/Sub's own client sent to the same Cloud Trace: it makes them by the global provider."""
    transport = TraceServiceGrpcTransport(channel=grpc.insecure_channel(cloud.url.removeprefix("http://")))
    make: Any = CloudTraceSpanExporter
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        exporter = make("p", client=TraceServiceClient(transport=transport))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)


def publish(address: str, topic: str) -> None:
    """Publish a record as a producer does that traces."""
    options = PublisherOptions(enable_open_telemetry_tracing=True)
    transport = PublisherGrpcTransport(channel=grpc.insecure_channel(address))
    client = PublisherClient(publisher_options=options, transport=transport)
    client.publish(topic, msgspec.json.encode(GOOD), origin="test").result(WITHIN_S)
    client.stop()


@long
@pytest.mark.usefixtures("_publishing")
async def test_a_message_is_one_trace_from_its_publisher_to_the_store(cloud: CloudServer, tmp_path: Path) -> None:
    """Published by Google's client with its tracing on, pushed by the local Pub/Sub, appended by the service."""
    port = free_port()
    stack = StackSettings(port=0, issuer_port=0, push_endpoint=f"http://127.0.0.1:{port}/pubsub/push")
    async with running_pubsub(stack) as pubsub:
        told = {"port": str(port), "data_path": str(tmp_path / "data.duckdb"), "push_principals": pubsub.principal}
        told |= {"token_issuer": pubsub.issuer, "token_keys_url": pubsub.keys_url}
        process = await start(numbers(cloud), **SETTINGS, **told)
        try:
            await process.line_with("listening")
            await asyncio.to_thread(publish, pubsub.pubsub, topic_name())
            await asyncio.to_thread(cloud.wait_until, lambda: any(span.kind == "CONSUMER" for span in cloud.spans))
            assert await process.terminate() == 0
        finally:
            if process.process.returncode is None:
                await process.kill()
    created, pushed, appended = (
        cloud.span(name) for name in ("events create", "process events-push", "append records")
    )
    assert (created.kind, created.parent_id) == ("PRODUCER", "")
    assert (pushed.kind, pushed.parent_id, pushed.trace_id) == ("CONSUMER", created.span_id, created.trace_id)
    assert (appended.parent_id, appended.trace_id) == (pushed.span_id, created.trace_id)
    assert {"publisher flow control", "publisher batching", "events publish"} < {span.name for span in cloud.spans}
