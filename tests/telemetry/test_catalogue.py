"""What the service counts, as it is scraped."""

import asyncio
from itertools import chain
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from app.stores.source import StoreUnavailableError
from app.telemetry.instruments import CATALOGUE
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from sluice.testing.service import CANARY, GOOD, SETTINGS, Service, running
from tests.telemetry.collected import scrape, values
from tests.telemetry.scripted_runner import MeteredRunner, metered
from tests.telemetry.watched_service import AT_GOOGLE

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

CLOSED = {"since": "2023-01-01T00:00:00Z", "until": "2023-01-02T00:00:00Z"}


async def live_through_everything(service: Service, runner: MeteredRunner) -> None:
    """Do everything once that is measured."""
    client, heard = service.client, service.app.instance.metrics.canary_delay
    assert (await service.push(GOOD | {"id": "beat"}, message_id="0", **CANARY)).status_code == 204
    assert isinstance(service.clock, FakeClock)
    async with asyncio.timeout(patience_s(60)):
        while not any(sum(point.counts) for _, point in heard.points()):
            await service.clock.advance(0.1)
            await asyncio.sleep(0.005)
    assert (await service.push(GOOD, message_id="1")).status_code == 204
    assert (await service.push(GOOD, message_id="1")).status_code == 204
    assert (await service.push(GOOD | {"id": "bad", "colour": "red"}, message_id="2")).status_code == 204
    assert (await client.post("/pubsub/push", content=b"{}")).status_code == 401
    assert (await client.post("/v1/records", json=GOOD | {"id": "b"})).status_code == 201
    first = await client.get("/v1/records", params=CLOSED)
    assert (await client.get("/v1/records", params=CLOSED)).headers["sluice-cache"] == "hit"
    has = {"If-None-Match": first.headers["etag"]}
    assert (await client.get("/v1/records", params=CLOSED, headers=has)).status_code == 304
    assert (await client.get("/v1/records/a")).status_code == 200
    assert (await client.get("/v1/records", params={"limit": "all", "format": "ndjson"})).status_code == 200
    runner.error = StoreUnavailableError("away")
    assert (await client.get("/v1/rejects")).status_code == 503
    runner.error = None


async def test_each_thing_is_counted_once_as_it_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """That there is everything in the catalogue and nothing else, each exporter's tests say."""
    runners = metered(monkeypatch, 1_000, {"records": 2})
    async with running() as service:
        await live_through_everything(service, runners[0])
        found = await scrape(service)
    assert values(found, "sluice_record_stored_total", "stream") == {"records": 3}
    assert values(found, "sluice_message_duplicate_total", "stream") == {"records": 1}
    assert values(found, "sluice_record_rejected_total", "reason", "stream") == {("invalid", "records"): 1}
    assert values(found, "sluice_message_stored_delay_seconds", "stream") == {"records": 3}
    assert values(found, "sluice_heartbeat_delay_seconds") == {(): 1}
    assert values(found, "sluice_heartbeat_missed_total") == {(): 0}
    assert values(found, "sluice_append_duration_seconds", "table", "outcome") == {
        ("records", "stored"): 3,
        ("records_rejected", "stored"): 1,
    }
    assert values(found, "sluice_append_rows", "table") == {"records": 3, "records_rejected": 1}
    assert values(found, "sluice_append_connections", "table") == {"records": 2}
    assert values(found, "sluice_in_flight_messages") == {(): 0}
    states = {state: value for state, value in values(found, "sluice_sink_state", "table", "state").items() if value}
    assert states == {("records", "ACTIVE"): 1, ("records_rejected", "ACTIVE"): 1}
    queries = values(found, "sluice_query_duration_seconds", "purpose", "outcome")
    assert queries["page", "ok"] >= 1
    assert queries["page", "unavailable"] == 1
    assert queries["look_up", "ok"] >= 1
    assert queries["export", "ok"] >= 1
    read = values(found, "sluice_query_processed_bytes_total", "purpose")
    for purpose in ("page", "look_up"):
        assert read[purpose] == 1_000 * queries[purpose, "ok"]
    cache = values(found, "sluice_cache_answers_total", "state")
    assert (cache["hit"], cache["revalidated"], cache["miss"]) == (1, 1, 1)
    requests = values(found, "http_server_request_duration_seconds", "sluice_request_kind", "http_response_status_code")
    assert requests == {
        ("push", "204"): 4,
        ("push", "401"): 1,
        ("write", "201"): 1,
        ("read", "200"): 3,
        ("read", "304"): 1,
        ("read", "503"): 1,
        ("stream", "200"): 1,
    }


@pytest.mark.parametrize(
    ("accept", "media_type", "parse"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", parse_text),
        (OPENMETRICS, f"{OPENMETRICS}; charset=utf-8; escaping=underscores", parse_openmetrics),
    ],
)
async def test_every_metric_can_be_scraped(accept: str, media_type: str, parse: Any) -> None:
    """In both formats, with its type, help and labels, and with nothing that the catalogue does not have."""
    async with running() as service:
        await service.push({"id": "bad"})
        answer = await service.client.get("/metrics", headers={"Accept": accept})
    assert answer.headers.get_list("content-type") == [media_type]
    families = {family.name: family for family in parse(answer.text) if not family.name.startswith("target")}
    assert families.keys() == {each.name.removesuffix("_total") for each in CATALOGUE}
    for instrument in CATALOGUE:
        family = families[instrument.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (instrument.kind, instrument.description)
        assert {*chain(*(sample.labels for sample in family.samples))} - {"le"} <= {*instrument.attributes}


async def test_metrics_that_go_elsewhere_are_not_on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Cloud Monitoring alone there is no such route, in the document neither."""
    told: dict[str, Any] = {"metrics": ("cloud",), **AT_GOOGLE}
    monkeypatch.setattr("app.telemetry.providers._metric_exporters", lambda _: [])
    async with running(SETTINGS.replace(**told)) as service:
        assert (await service.client.get("/metrics")).status_code == 404
        assert "/metrics" not in (await service.client.get("/openapi/openapi.json")).json()["paths"]
