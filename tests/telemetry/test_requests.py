"""How requests are counted: by route, method, status and kind, few series however many paths there are."""

import asyncio
from typing import Any

import pytest

from sluice.testing.clock import FakeClock
from sluice.testing.service import Service, running
from tests.ingest.scripted import turns
from tests.sse import reading
from tests.telemetry.collected import scrape, values

DURATION = "http_server_request_duration_seconds"
BY = ("http_route", "http_request_method", "http_response_status_code", "sluice_request_kind")


async def counted(service: Service) -> dict[Any, float]:
    """Return how many requests there were, by all attributes."""
    found = values(await scrape(service), DURATION, *BY).items()
    return {(route, method, int(status), kind): count for (route, method, status, kind), count in found if count}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/records", ("/v1/records", "GET", 200, "read")),
        ("HEAD", "/v1/records", ("/v1/records", "HEAD", 200, "read")),
        ("GET", "/v1/records?source=wait=1", ("/v1/records", "GET", 200, "read")),
        ("GET", "/v1/records?limit=all&format=ndjson", ("/v1/records", "GET", 200, "stream")),
        ("GET", "/v1/records?limit=0", ("/v1/records", "GET", 400, "read")),
        ("GET", "/v1/records/no-such", ("/v1/records/{record_id}", "GET", 404, "read")),
        ("POST", "/v1/records", ("/v1/records", "POST", 422, "write")),
        ("GET", "/no/such/path", ("unknown", "GET", 404, "read")),
        ("BREW", "/v1/records", ("unknown", "_OTHER", 405, "read")),
        ("GET", "/pubsub/push", ("unknown", "GET", 405, "read")),
        ("POST", "/pubsub/push", ("/pubsub/push", "POST", 401, "push")),
    ],
)
async def test_a_request_is_counted_once_under_its_route(
    method: str, path: str, expected: tuple[str, str, int, str]
) -> None:
    """And its kind is what objectives are about."""
    async with running() as service:
        answer = await service.client.request(method, path, content=b"{}" if method == "POST" else None)
        assert answer.status_code == expected[2]
        assert await counted(service) == {expected: 1}


async def test_a_reader_that_goes_away_is_counted_as_499() -> None:
    """It had no answer, which is not the service's fault."""
    async with running() as service:
        async with reading(service.app, "/v1/records", {"wait": "20"}):
            await turns()
        assert await counted(service) == {("/v1/records", "GET", 499, "wait"): 1}


@pytest.mark.parametrize("query", ["since=now&wait=3", "since=now&%77ait=3"])
async def test_a_read_that_asks_to_wait_is_counted_apart(query: str) -> None:
    """However it is written: how long it takes is the caller's choice."""
    clock = FakeClock()
    async with running(clock=clock) as service:
        waiting = asyncio.create_task(service.client.get(f"/v1/records?{query}"))
        while not waiting.done():
            await clock.advance(0.5)
        assert (await waiting).status_code == 200
        assert await counted(service) == {("/v1/records", "GET", 200, "wait"): 1}
