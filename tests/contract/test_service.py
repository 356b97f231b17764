"""The whole service over every store: what is pushed is read, what is rejected is kept, and comes back after a fix."""

import asyncio
from base64 import b64decode
from typing import Any

import httpx
import pytest

from app.schema.table import Table, records_table
from app.settings.load import Settings
from sluice.__main__ import main
from sluice.local.pubsub.api import serving_grpc
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Message
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.testing import tokens
from sluice.testing.clock import FakeClock
from sluice.testing.service import SECRET, Service, running
from tests.contract.records import Brief, Wordy
from tests.contract.stores import RECORDS, REJECTS, Engine

GOOD = {"id": "a", "timestamp": "2026-01-31T12:00:00Z"}


def settings_of(engine: Engine, table: Table, **changed: Any) -> Settings:
    """Return settings of the service over an empty store of `engine`, for any number of its runs."""
    settings = engine.loop.run(engine.settings([table, REJECTS]))
    record_type = table.record_type
    named = {"record": f"{record_type.__module__}:{record_type.__name__}"}
    access = {
        "push_principals": (tokens.PUSHER,),
        "push_audience": tokens.AUDIENCE,
        "token_issuer": tokens.ISSUER,
        "signing_secret": SECRET,
    }
    return settings.replace(**named | access | changed)


async def settled(engine: Engine, service: Service) -> None:
    """Let what was stored until now settle; readers of chunks see it up to a poll later."""
    assert isinstance(service.clock, FakeClock)
    await service.clock.advance(engine.settle_s + 2 * Settings().query.poll_s)


async def read(service: Service, path: str = "/v1/records") -> list[dict[str, Any]]:
    """Return the records of the last hour."""
    answer = await service.client.get(path)
    assert answer.status_code == 200, answer.text
    records: list[dict[str, Any]] = answer.json()["records"]
    return records


def test_what_is_pushed_is_read_once_it_is_settled(engine: Engine) -> None:
    """A redelivery is read once; what is young is found by its id before the feed has it."""

    async def use(service: Service) -> None:
        records = [{**GOOD, "id": record_id, "data": {"n": 1.50}} for record_id in "ab"]
        assert (await service.push(*records, message_id="1")).status_code == 204
        found = await service.client.get("/v1/records/a")
        assert (found.json()["delivery_key"], found.json()["data"]) == (key(0), {"n": 1.5})
        if engine.settle_s:
            assert await read(service) == []
        await settled(engine, service)
        assert [record["id"] for record in await read(service)] == ["a", "b"]
        assert (await read(service))[0] == found.json()

    async def use_another(service: Service) -> None:
        """A restarted instance remembers nothing of what it has stored."""
        assert (await service.push(GOOD | {"id": "a"}, GOOD | {"id": "b"}, message_id="1")).status_code == 204
        await settled(engine, service)
        assert [record["id"] for record in await read(service)] == ["a", "b"]

    settings, clock = settings_of(engine, RECORDS), FakeClock()
    run(engine, settings, clock, use)
    run(engine, settings, clock, use_another)


@pytest.mark.above_the_stores
def test_a_record_that_is_posted_can_be_read_back_at_once(engine: Engine) -> None:
    """By its id, and so can its next version."""

    async def use(service: Service) -> None:
        posted = await service.client.post("/v1/records", json=GOOD | {"source": "one"})
        assert posted.status_code == 201
        assert (await service.client.get("/v1/records/a")).json()["source"] == "one"
        changed = await service.client.put("/v1/records/a", json=GOOD | {"source": "two"})
        assert changed.status_code == 200
        assert (await service.client.get("/v1/records/a")).json()["source"] == "two"
        versions = await read(service, "/v1/records/a?versions=all")
        assert [version["source"] for version in versions] == ["two", "one"]

    run(engine, settings_of(engine, RECORDS, retention_days=1), FakeClock(), use)


@pytest.mark.above_the_stores
def test_a_reject_is_kept_whole_over_as_many_rows_as_it_takes(engine: Engine) -> None:
    """Its bytes are those that came, and the message's other records are stored."""
    payload = bytes(range(256)) * 400

    async def use(service: Service) -> None:
        assert (await service.push_bytes(payload)).status_code == 204
        assert (await service.push(GOOD, {"id": 7}, message_id="2")).status_code == 204
        await settled(engine, service)
        assert [record["id"] for record in await read(service)] == ["a"]
        *parts, other = await read(service, "/v1/rejects")
        assert len(parts) == parts[0]["parts"] == 3
        by_part = sorted(parts, key=lambda each: int(each["part"]))
        assert b"".join(b64decode(part["payload"]) for part in by_part) == payload
        assert (other["reason"], other["field"], b64decode(other["payload"])) == ("invalid", "id", b'{"id":7}')
        for query, counts in (("", {"malformed": 3, "invalid": 1}), ("&part=0", {"malformed": 1, "invalid": 1})):
            stats = (await service.client.get(f"/v1/rejects/stats?by=reason{query}")).json()
            assert {series["key"]: series["records"] for series in stats["series"]} == counts

    # Parts of 37,500 bytes: three quarters of what an append may hold, less what an envelope may.
    run(engine, settings_of(engine, RECORDS, max_batch_bytes=1_050_000), FakeClock(), use)


@pytest.mark.above_the_stores
def test_a_replayed_reject_is_stored_after_the_fix_as_the_delivery_that_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sluice replay` takes the reasons and the window it is told; played twice, a record is read once."""
    brief, wordy = records_table(Brief), records_table(Wordy)

    async def reject(service: Service) -> None:
        records = [{"id": "short", "note": "yes"}, {"id": "long", "note": "far too long"}]
        assert (await service.push(*records, message_id="1", colour="red")).status_code == 204
        assert (await service.push_bytes(b"{", message_id="2")).status_code == 204
        await settled(engine, service)
        assert [record["id"] for record in await read(service)] == ["short"]
        assert [each["reason"] for each in await read(service, "/v1/rejects")] == ["invalid", "malformed"]

    async def replay(service: Service) -> None:
        (message,) = await replayed(service, monkeypatch, "--reason", "invalid", "--since", "-PT15M")
        assert (message.data, message.attributes["colour"]) == (b'{"id":"long","note":"far too long"}', "red")
        attributes = {name.replace("-", "_"): value for name, value in message.attributes.items()}
        for message_id in ("3", "4"):
            assert (await service.push_bytes(message.data, message_id, **attributes)).status_code == 204
        assert await replayed(service, monkeypatch, "--since", "2030-01-01T00:00:00Z") == []
        await settled(engine, service)
        short, long = await read(service)
        assert (short["id"], long["id"]) == ("short", "long")
        assert (short["delivery_key"], long["delivery_key"]) == (key(0), key(1))
        assert long["note"] == "far too long"

    settings, clock = settings_of(engine, brief), FakeClock()
    run(engine, settings, clock, reject)
    fixed = settings.replace(record=f"{Wordy.__module__}:Wordy")
    assert [column.name for column in wordy.columns] == [column.name for column in brief.columns]
    run(engine, fixed, clock, replay)


def key(index: int, message_id: str = "1") -> str:
    """Return the delivery key of a record of a pushed message."""
    return f"{message_id}:1769860800123000:{index}"


async def replayed(service: Service, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Message]:
    """Run the command against `service` and a local Pub/Sub, and return what it has published there."""
    broker, loop = Broker(service.clock.now_us), asyncio.get_running_loop()
    topic, subscription = "projects/sluice-local/topics/events", "projects/sluice-local/subscriptions/all"
    broker.create_topic(topic)
    broker.create_subscription(SubscriptionSettings(name=subscription, topic=topic))

    def handle(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        """Ask the service, which is in this process, behind no port."""
        answer = asyncio.run_coroutine_threadsafe(service.client.get(request.url), loop).result()
        return httpx.Response(answer.status_code, json=answer.json())

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setenv("SLUICE_SIGNING_SECRET", SECRET)
    async with serving_grpc(broker, 0) as port:
        command = ["replay", "--service", "http://localhost", "--pubsub-host", f"127.0.0.1:{port}", *arguments]
        assert await asyncio.to_thread(main, command) == 0
        return [delivery.message for delivery in broker.pull(subscription, 100)]


def run(engine: Engine, settings: Settings, clock: FakeClock, use: Any) -> None:
    """Run the service, use it, and end it."""

    async def whole() -> None:
        async with running(settings, clock) as service:
            await use(service)

    engine.loop.run(whole())
