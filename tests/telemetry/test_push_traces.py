"""Spans of pushes and appends, as Cloud Trace gets them from the real exporter."""

import asyncio
import io

import msgspec
from opentelemetry import trace

from app.stores.sink import Stored, Uncertain
from app.telemetry.logs import configure_logging
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, Service, authorization, envelope, running
from tests.ingest.scripted import turns
from tests.ingest.sinks import scripted
from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.logged import MEMBER, read
from tests.telemetry.watched_service import EXPORTING, NAMES, SUBSCRIPTION, Publisher, caller, traced

pytestmark = EXPORTING


async def push(service: Service, message_id: str, sender: Publisher | None, **headers: str) -> int:
    """Push a record, published by `sender`; return the status."""
    record = msgspec.json.encode(GOOD | {"id": message_id})
    body = envelope(record, message_id, sender.attributes if sender else None)
    answer = await service.client.post("/pubsub/push", content=body, headers=authorization() | headers)
    return answer.status_code


async def test_a_message_whose_publication_is_traced_is_followed(cloud: CloudServer) -> None:
    """One trace: published, pushed, appended; the HTTP request's is linked. Labels name the system and the instance."""
    sender, platform = caller(), caller(sampled=False)
    async with running(traced(cloud.url, system="orders")) as service:
        assert await push(service, "42", sender, traceparent=platform.traceparent) == 204
        (stored,) = (await service.client.get("/v1/records")).json()["records"]
    pushed, appended = cloud.spans
    assert (pushed.name, pushed.kind, pushed.status) == ("process s", "CONSUMER", None)
    assert (pushed.trace_id, pushed.parent_id) == (sender.trace_id, sender.span_id)
    assert pushed.links == [(platform.trace_id, platform.span_id)]
    told = {name: value for name, value in pushed.attributes.items() if name in NAMES}
    assert told == {
        "messaging.system": "gcp_pubsub",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.subscription.name": SUBSCRIPTION,
        "messaging.message.id": "42",
        "messaging.message.body.size": len(msgspec.json.encode(GOOD | {"id": "42"})),
        "sluice.outcome": "durable",
    }
    assert (appended.name, appended.kind, appended.status) == ("append records", "CLIENT", None)
    assert (appended.trace_id, appended.parent_id) == (sender.trace_id, pushed.span_id)
    assert appended.links == [(pushed.trace_id, pushed.span_id)]
    assert appended.attributes["sluice.append.size"]
    told = {name: value for name, value in appended.attributes.items() if name in NAMES}
    assert told | {"sluice.append.size": 0} == {
        "db.system.name": "duckdb",
        "db.collection.name": "records",
        "db.operation.name": "append",
        "db.operation.batch.size": 1,
        "sluice.append.size": 0,
        "sluice.outcome": "stored",
    }
    assert stored["trace_id"] == sender.trace_id
    for span in cloud.spans:
        labels = {name: value for name, value in span.attributes.items() if name not in NAMES}
        assert (labels.pop("service.name"), labels.pop("service.namespace")) == ("sluice", "orders")
        assert len(str(labels.pop("service.instance.id"))) == 8
        assert set(labels) == {"g.co/agent"}


async def test_messages_that_share_an_append_are_linked_with_it(cloud: CloudServer) -> None:
    """The append is in the first one's trace, links to both, and the other one links to it."""
    first, second, untraced = caller(), caller(), caller(sampled=False)
    async with scripted(traced(cloud.url)) as (service, sinks):
        sent = [push(service, str(number), sender) for number, sender in enumerate((first, second, untraced))]
        assert await asyncio.gather(*sent) == [204, 204, 204]
        assert [len(batch) for batch in sinks.records.batches] == [3]
    one, other = (next(span for span in cloud.spans if span.trace_id == sender.trace_id) for sender in (first, second))
    appended = cloud.span("append records")
    assert len(cloud.spans) == 3
    assert (appended.trace_id, appended.parent_id) == (one.trace_id, one.span_id)
    assert appended.links == [(one.trace_id, one.span_id), (other.trace_id, other.span_id)]
    assert appended.attributes["db.operation.batch.size"] == 3
    assert other.links == [(appended.trace_id, appended.span_id)]
    assert one.links == []


async def test_a_message_whose_publication_is_not_traced_is_not(cloud: CloudServer) -> None:
    """Whatever the ratio; the stored record still leads to the publisher's trace."""
    sender = caller(sampled=False)
    async with running(traced(cloud.url, trace_ratio=1.0)) as service:
        assert await push(service, "1", sender) == 204
        assert await push(service, "2", sender, traceparent=caller().traceparent) == 204
        answer = await service.client.get("/v1/records", headers={"traceparent": sender.traceparent})
        assert {record["trace_id"] for record in answer.json()["records"]} == {sender.trace_id}
    assert [span for span in cloud.spans if not span.name.startswith(("GET", "query"))] == []


async def test_each_attempt_of_an_append_has_its_span(cloud: CloudServer) -> None:
    """One that failed says how, and nothing that the store said."""
    secret = "the-store-said-this"
    async with scripted(traced(cloud.url)) as (service, sinks):
        sinks.records.replies = [Uncertain(secret), Stored()]
        pushing = asyncio.ensure_future(push(service, "1", caller()))
        await turns()
        assert isinstance(service.clock, FakeClock)
        await service.clock.advance(30)
        assert await pushing == 204
    failed, stored = (span for span in cloud.spans if span.name == "append records")
    assert (failed.attributes["sluice.outcome"], failed.attributes["error.type"], failed.status) == (
        "uncertain",
        "uncertain",
        2,
    )
    assert (stored.attributes["sluice.outcome"], stored.status) == ("stored", None)
    assert failed.parent_id == stored.parent_id == cloud.span("process s").span_id
    assert secret.encode() not in cloud.serialised()


async def test_what_is_logged_for_one_message_is_in_its_trace(cloud: CloudServer, log: io.StringIO) -> None:
    """Nothing of the next one's is, and nothing when no message is worked on."""
    configure_logging(log, project="p")
    senders = caller(), caller()
    async with scripted(traced(cloud.url)) as (service, _):
        for number, sender in enumerate(senders):
            body = envelope(b"no json", str(number), sender.attributes)
            answer = await service.client.post("/pubsub/push", content=body, headers=authorization())
            assert answer.status_code == 204
        assert not trace.get_current_span().is_recording()
    traces = [line[f"{MEMBER}trace"] for line in read(log) if line["message"].startswith("rejected 1 of the records")]
    assert traces == [f"projects/p/traces/{sender.trace_id}" for sender in senders]
