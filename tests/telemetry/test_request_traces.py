"""Spans of the API's requests and of their queries, as Cloud Trace gets them from the real exporter."""

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from app.stores.source import QueryTimeoutError, StoreUnavailableError
from sluice.testing.service import GOOD, authorization, envelope, running
from tests.telemetry.cloud_servers import CloudServer
from tests.telemetry.scripted_runner import ScriptedRunner, over
from tests.telemetry.watched_service import EXPORTING, NAMES, traced

pytestmark = EXPORTING
ALL: dict[str, Any] = {"trace_ratio": 1.0}


async def test_a_read_is_a_span_and_its_query_another(cloud: CloudServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With route, status and how the cache was used; the query with what it read."""
    runner = ScriptedRunner(bytes_processed=12_345)
    over(monkeypatch, runner)
    async with running(traced(cloud.url, **ALL, window_bytes=0)) as service:
        assert (await service.client.get("/v1/records")).status_code == 200
    asked, queried = cloud.spans
    assert (asked.name, asked.kind, asked.status, asked.parent_id) == ("GET /v1/records", "SERVER", None, "")
    assert {name: value for name, value in asked.attributes.items() if name in NAMES} == {
        "http.request.method": "GET",
        "http.route": "/v1/records",
        "http.response.status_code": 200,
        "sluice.request.kind": "read",
        "sluice.cache": "miss",
    }
    assert (queried.name, queried.kind, queried.status) == ("query page", "CLIENT", None)
    assert (queried.trace_id, queried.parent_id) == (asked.trace_id, asked.span_id)
    assert {name: value for name, value in queried.attributes.items() if name in NAMES} == {
        "db.system.name": "duckdb",
        "db.operation.name": "SELECT",
        "sluice.query.purpose": "page",
        "sluice.outcome": "ok",
        "db.response.returned_rows": 0,
        "sluice.query.bytes_processed": 12_345,
    }


async def test_a_write_over_http_leads_to_its_append(cloud: CloudServer) -> None:
    """Request and append are one trace, which the stored record names."""
    async with running(traced(cloud.url, **ALL)) as service:
        assert (await service.client.post("/v1/records", json=GOOD)).status_code == 201
        answer = await service.client.get("/v1/records/a")
    asked, appended = cloud.spans[:2]
    assert (asked.name, appended.name) == ("POST /v1/records", "append records")
    assert asked.attributes["sluice.request.kind"] == "write"
    assert (appended.trace_id, appended.parent_id) == (asked.trace_id, asked.span_id)
    assert answer.json()["trace_id"] == asked.trace_id
    looked_up = cloud.span("GET /v1/records/{record_id}")
    assert cloud.span("query look_up").parent_id == looked_up.span_id


@pytest.mark.parametrize(
    ("fail", "status", "outcome"),
    [
        (lambda: StoreUnavailableError("project-of-the-store is away"), 503, "unavailable"),
        (lambda: QueryTimeoutError(3.0), 504, "timeout"),
        (lambda: ZeroDivisionError("text-of-the-library"), 500, "defect"),
    ],
)
async def test_a_query_that_fails_is_seen(
    cloud: CloudServer, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], Exception], status: int, outcome: str
) -> None:
    """By one word; what the store or a library said is in no span."""
    error = fail()
    over(monkeypatch, ScriptedRunner(error=error))
    async with running(traced(cloud.url, **ALL)) as service:
        found = (await service.client.get("/v1/records")).status_code
        assert found == status
    asked, queried = cloud.spans
    assert (asked.attributes["http.response.status_code"], asked.status) == (found, 2)
    assert asked.attributes["error.type"] == str(found)
    assert (queried.attributes["sluice.outcome"], queried.attributes["error.type"]) == (outcome, outcome)
    assert (queried.status, queried.events, asked.events) == (2, 0, 0)
    assert str(error).encode() not in cloud.serialised()


async def test_nothing_of_what_was_sent_is_handed_over(cloud: CloudServer) -> None:
    """No payload, attribute, ordering key, token, filter, id or cursor, in spans and metrics."""
    secret, token = "secret-marker", authorization()
    told: dict[str, Any] = {"metrics": ("cloud",), "cloud_telemetry_url": cloud.otlp.url, "metrics_interval_s": 3600.0}
    async with running(traced(cloud.url, **ALL, **told)) as service:
        client = service.client
        record = GOOD | {"id": f"{secret}-id", "source": f"{secret}-source", "data": {secret: [secret]}}
        for number, pushed in enumerate((record, {"id": f"{secret}-bad", secret: 1})):
            body = msgspec.json.decode(envelope(msgspec.json.encode(pushed), str(number), {secret: secret}))
            body["message"]["orderingKey"] = secret
            assert (await client.post("/pubsub/push", json=body, headers=token)).status_code == 204
        await client.post("/v1/records", json=record, headers={"Idempotency-Key": f"{secret}-key"})
        await client.post("/v1/records", json=record)
        headers = token | {"X-Api-Key": f"{secret}-api-key", "Cookie": secret, "tracestate": f"a={secret}"}
        for path in QUERIES:
            await client.get(path.replace("MARK", secret), headers=headers)
        await client.send(httpx.Request(secret.upper(), "http://localhost/v1/records", headers=headers))
    assert len([span for span in cloud.spans if span.kind == "SERVER"]) == len(QUERIES) + 3
    assert len([span for span in cloud.spans if span.kind == "CONSUMER"]) == 2
    assert len(cloud.rules.series) > 20
    handed_over = cloud.serialised().lower()
    assert b"/v1/records" in handed_over
    assert secret.encode() not in handed_over
    assert token["Authorization"].removeprefix("Bearer ").lower().encode() not in handed_over
    allowed = NAMES | {"service.name", "service.namespace", "service.instance.id", "g.co/agent"}
    for span in cloud.spans:
        assert set(span.attributes) <= allowed


QUERIES = (
    *("/v1/records?source=MARK", "/v1/records?MARK=1", "/v1/records?cursor=MARK"),
    *("/v1/records?limit=all&format=csv&source.prefix=MARK", "/v1/records/MARK-id"),
    *("/v1/records/stats?bucket=PT1H&source=MARK", "/v1/MARK", "/MARK?MARK=MARK"),
)
