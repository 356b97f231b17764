"""Heartbeats over both stores: measured from publication to the feed, and in no answer unless somebody asks."""

from datetime import UTC, datetime

import msgspec
import pytest

from app.runtime.instants import SECOND_US, epoch_us
from sluice.testing.clock import FakeClock
from sluice.testing.service import CANARY
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


def test_a_canary_is_measured_once_the_feed_has_it_and_shows_nowhere(engine: Engine) -> None:
    """From its publication until it is settled, to a poll; a redelivery is not measured again."""
    published_us = epoch_us(datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC))  # of everything that tests push
    clock = FakeClock(published_us + 3 * SECOND_US)

    async def use(service: Running) -> None:
        for message_id, mark in (("7", CANARY), ("7", CANARY), ("8", {})):
            assert (await service.push(GOOD, message_id=message_id, **mark)).status_code == 204
        await clock.advance(engine.settle_s)
        delay = service.app.instance.metrics.canary_delay
        await until(lambda: any(sum(point.counts) for _, point in delay.points()), clock, step_s=0.1)
        metrics = (await service.client.get("/metrics")).text
        assert "sluice_heartbeat_delay_seconds_count 1" in metrics
        assert "sluice_heartbeat_missed_total 0" in metrics
        (_, point), *_ = delay.points()
        assert engine.settle_s + 3 <= point.total <= (clock.now_us() - published_us) / SECOND_US
        await clock.advance(engine.settle_s + 1)
        for query in ("", "?limit=all&format=ndjson"):
            answer = await service.client.get(f"/v1/records{query}")
            assert (answer.text.count('"id":"a"'), "heartbeat:" in answer.text) == (1, False)
        found = (await service.client.get("/v1/records?heartbeat=only")).json()["records"]
        assert [record["delivery_key"] for record in found] == [f"heartbeat:7:{published_us}:0"]
        assert found[0]["attributes"] == {"sluice-heartbeat": "1"}
        (series,) = (await service.client.get("/v1/records/stats")).json()["series"]
        assert series["records"] == 1
        assert (await service.client.get("/v1/records/a")).json()["message_id"] == "8"

    run_service(engine, settings_of(engine, RECORDS), clock, use)
