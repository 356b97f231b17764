"""Heartbeats over both stores: measured from publication to the feed, and in no answer unless somebody asks."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.health.canary import GIVE_UP_S
from app.runtime.instants import SECOND_US, epoch_us
from sluice.testing.clock import FakeClock
from sluice.testing.service import CANARY, SECRET
from sluice.testing.service import Service as Running
from tests.contract.service import WINDOW, Client, Service
from tests.contract.stores import RECORDS, T0_US, Engine
from tests.contract.test_service import GOOD, settings_of
from tests.contract.test_service import run as run_service
from tests.sse import until

pytestmark = pytest.mark.above_the_stores

BEAT = "heartbeat:9:0"


@pytest.fixture
def beating(service: Service) -> Service:
    """Give five records and, between them, a canary with the id of one and another with its own; and a copy."""
    service.put_record(T0_US + 5, BEAT, "id1")
    service.put_record(T0_US + 6, BEAT, "id1")
    service.put_record(T0_US + 15, "heartbeat:10:0", "beat")
    service.put_records([(T0_US + 30, "heartbeat", "id3"), (T0_US + 31, "heartbeats:1", "id4")])  # are none
    service.settle(T0_US + 100)
    return service


def ids(client: Client, **asked: str) -> list[str]:
    """Return the ids of a page of the window."""
    answer = client.get("/v1/records", params=WINDOW | asked)
    assert answer.status_code == 200, answer.text
    return [record["id"] for record in answer.json()["records"]]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, ["id0", "id1", "id2", "id3", "id4"]),
        ({"heartbeat": "exclude"}, ["id0", "id1", "id2", "id3", "id4"]),
        ({"heartbeat": "include"}, ["id0", "id1", "id1", "beat", "id2", "id3", "id4"]),
        ({"heartbeat": "only"}, ["id1", "beat"]),
    ],
    ids=["default", "exclude", "include", "only"],
)
def test_every_way_of_reading_has_the_same_records(
    beating: Service, choice: dict[str, str], expected: list[str]
) -> None:
    """In pages, either way round, page by page, in an export, counted, in statistics; a copy is one in each of them."""
    client = beating.client()
    expected = sorted(expected) if choice.get("heartbeat") == "only" else expected
    assert sorted(ids(client, **choice)) == sorted(expected)
    assert ids(client, **choice, order="desc") == ids(client, **choice)[::-1]
    first = client.get("/v1/records", params=WINDOW | choice | {"limit": "1", "count": "exact"}).json()
    assert first["count"] == {"value": len(expected), "relation": "eq"}
    walked, cursor = first["records"], first["next_cursor"]
    while cursor is not None:
        page = client.get("/v1/records", params=choice | {"limit": "1", "cursor": cursor}).json()
        walked, cursor = walked + page["records"], page["next_cursor"]
    assert [record["id"] for record in walked] == ids(client, **choice)
    export = client.get("/v1/records", params=WINDOW | choice | {"limit": "all", "count": "exact"})
    assert [msgspec.json.decode(line)["id"] for line in export.text.splitlines()] == ids(client, **choice)
    assert export.headers["sluice-count"] == f"{len(expected)};relation=eq"
    (series,) = client.get("/v1/records/stats", params=WINDOW | choice).json()["series"]
    assert series["records"] == len(expected)


# --- the whole service

PUBLISHED_US = epoch_us(datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC))  # of everything that tests push


def run(engine: Engine, use: Callable[[Running, FakeClock], Awaitable[None]], wrap: Any = None, **changed: Any) -> None:
    """Run the service over an empty store of `engine`, three seconds after the publication, and use it."""
    clock = FakeClock(PUBLISHED_US + 3 * SECOND_US)

    async def use_it(service: Running) -> None:
        await use(service, clock)

    run_service(engine, settings_of(engine, RECORDS, **changed), clock, use_it, wrap)


async def beat(service: Running, message_id: str = "7") -> None:
    """Push a canary."""
    answer = await service.push(GOOD, message_id=message_id, **CANARY)
    assert answer.status_code == 204


def seen(service: Running) -> int:
    """Return how many canaries were seen in the feed."""
    return sum(sum(point.counts) for _, point in service.app.instance.metrics.canary_delay.points())


def test_a_canary_is_measured_once_the_feed_has_it_and_shows_nowhere(engine: Engine) -> None:
    """From its publication until it is settled, to a poll; a redelivery is not measured again."""

    async def use(service: Running, clock: FakeClock) -> None:
        await beat(service)
        await beat(service)
        assert (await service.push(GOOD, message_id="8")).status_code == 204
        await clock.advance(engine.settle_s)
        await until(lambda: seen(service) == 1, clock, step_s=0.1)
        metrics = (await service.client.get("/metrics")).text
        assert "sluice_heartbeat_delay_seconds_count 1" in metrics
        assert "sluice_heartbeat_missed_total 0" in metrics
        (_, point), *_ = service.app.instance.metrics.canary_delay.points()
        assert engine.settle_s + 3 <= point.total <= (clock.now_us() - PUBLISHED_US) / SECOND_US
        await clock.advance(engine.settle_s + 1)
        for query in ("", "?limit=all&format=ndjson"):
            answer = await service.client.get(f"/v1/records{query}")
            assert (answer.text.count('"id":"a"'), "heartbeat:" in answer.text) == (1, False)
        found = (await service.client.get("/v1/records?heartbeat=only")).json()["records"]
        assert [record["delivery_key"] for record in found] == [f"heartbeat:7:{PUBLISHED_US}:0"]
        assert found[0]["attributes"] == {"sluice-heartbeat": "1"}
        (series,) = (await service.client.get("/v1/records/stats")).json()["series"]
        assert series["records"] == 1
        assert (await service.client.get("/v1/records/a")).json()["message_id"] == "8"

    run(engine, use)


@pytest.mark.parametrize("secret", ["", SECRET], ids=["no secret", "secret"])
def test_a_mark_without_proof_hides_nothing(engine: Engine, secret: str) -> None:
    """Whoever may publish can set the attributes: the record is read as any other, and nothing is measured."""
    unsigned = {"sluice_heartbeat": "1"}
    forged = unsigned | {"sluice_signature": "0" * 64}
    replay = {"sluice_delivery_key": "heartbeat:1:0:0", "sluice_signature": CANARY["sluice_signature"]}

    async def use(service: Running, clock: FakeClock) -> None:
        for number, attributes in enumerate((unsigned, forged, replay)):
            answer = await service.push(GOOD | {"id": f"{number}"}, message_id=f"{number}", **attributes)
            assert answer.status_code == 204
        await clock.advance(2 * GIVE_UP_S)
        records = (await service.client.get("/v1/records")).json()["records"]
        assert [record["id"] for record in records] == ["0", "1", "2"]
        assert [record["attributes"] for record in records] == [
            {"unsigned-sluice-heartbeat": "1"},
            {"unsigned-sluice-heartbeat": "1"},
            {"unsigned-sluice-delivery-key": "heartbeat:1:0:0"},
        ]
        metrics = service.app.instance.metrics
        assert (seen(service), metrics.canaries_missed, metrics.unproved_messages) == (0, 0, 3)

    run(engine, use, signing_secret=secret)
