"""Health of the whole application: a writer that is stuck, and who is told what the store said."""

import asyncio
from pathlib import Path

import httpx

from app.stores.sink import SetupError, SinkState
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, Service
from tests.auth.callers import bearing, granting, key_grant, signed_in
from tests.ingest.scripted import reply_later, turns
from tests.ingest.sinks import Sinks, scripted

SECRET = "my-project.events.records"
OBSTACLE = SetupError(SinkState.NOT_FOUND, f"there is no table {SECRET}")


async def push_in_vain(service: Service, clock: FakeClock, number: int) -> httpx.Response:
    """Push a message and let its budget go by."""
    push = asyncio.create_task(service.push(GOOD, message_id=str(number)))
    await clock.advance(SETTINGS.ingest.request_budget_s)
    return await push


async def test_a_store_that_never_answers_an_append_fails_liveness_in_time() -> None:
    """With a message a minute; a process that is begun anew has new connections, and the count begins anew."""
    clock = FakeClock()
    async with scripted(clock=clock) as (service, sinks):
        sinks.records.replies = [reply_later() for _ in range(100)]
        for number in range(5):
            assert (await push_in_vain(service, clock, number)).status_code == 503
            await clock.advance(30)
            assert clock.elapsed_us() <= SETTINGS.ingest.stuck_s * 1_000_000
            assert (await service.client.get("/health/live")).status_code == (503 if number == 4 else 200)
        answer = await service.client.get("/health/live")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text == (
            "stuck: table records: messages have waited for 300 s, and no append had a definite outcome\n"
        )
        ready = await service.client.get("/health/ready")
        sink = ready.json()["sinks"]["records"]
        assert (ready.status_code, sink["stuck"], sink["help"]) == (200, True, "docs/runbook.md#stuck-writer")
        assert not ready.json()["sinks"]["records_rejected"]["stuck"]
        assert (await service.client.get("/health/ready?strict=1")).status_code == 503
        sinks.records.replies.clear()  # the store answers again
        assert (await service.push(GOOD, message_id="9")).status_code == 204
        assert (await service.client.get("/health/live")).text == "live\n"
    async with scripted() as (another, _):
        assert (await another.client.get("/health/live")).status_code == 200


async def find_obstacle(service: Service, sinks: Sinks) -> None:
    """Let a look at the table find that it is not there, once there are keys."""
    await turns()
    sinks.records.obstacle = OBSTACLE
    service.ingest.pipelines.by_stream["records"].records.record_check(OBSTACLE)


async def told(service: Service, **headers: str) -> str | None:
    """Return what `headers` are told of the table of records."""
    answer = await service.client.get("/health/ready", headers=headers)
    assert answer.status_code == 200
    sink = answer.json()["sinks"]["records"]
    assert sink["state"] == "NOT_FOUND"
    detail: str | None = sink["detail"]
    return detail


async def test_who_may_use_the_api_is_told_what_the_store_said(tmp_path: Path) -> None:
    """By a token or a key, whatever its scopes; nobody else is, and everybody gets an answer."""
    settings = granting(tmp_path, key_grant(scopes=["rejects"]), api_principals=("owner@example.com",))
    async with scripted(settings) as (service, sinks):
        await find_obstacle(service, sinks)
        assert await told(service) is None
        assert await told(service, **bearing("sluice_" + "x" * 43)) is None
        assert await told(service, **signed_in("stranger@example.com")) is None
        assert await told(service, **signed_in("owner@example.com")) == OBSTACLE.detail
        assert await told(service, **bearing()) == OBSTACLE.detail
