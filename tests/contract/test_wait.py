"""Long polls over every store: they end with the first record, or with their time."""

import asyncio

import httpx
import pytest

from app.runtime.instants import SECOND_US
from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving.waiting import advance_until
from tests.contract.service import SINCE, Service, default_record
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, Engine
from tests.encoding import encoded

pytestmark = pytest.mark.above_the_stores


def test_a_poll_ends_with_a_record_or_with_its_time(engine: Engine, service: Service) -> None:
    """With the record as soon as the store is looked at again; else empty, and not a moment earlier. Both go on."""
    store, clock = service.store, service.store.clock
    assert isinstance(clock, FakeClock)
    step_s = 0.02 if engine.name == "bigquery" else 0.5  # there, time passes while a query is under way

    async def use(client: httpx.AsyncClient) -> None:
        cursor = (await client.get(f"/v1/records?since={SINCE}")).json()["resume_cursor"]
        for arrives, expected in ((True, ["late"]), (False, [])):
            begun_us = clock.elapsed_us()
            poll = asyncio.create_task(client.get("/v1/records", params={"cursor": cursor, "wait": "30"}))
            await clock.advance(2 * store.runner.profile.poll_s)
            assert not poll.done()
            if arrives:  # and is settled as soon as the clock has moved on
                row = encoded(store.appender(RECORDS), default_record("late"), envelope("late"))
                await store.put(RECORDS, [(clock.now_us() - round(engine.settle_s * SECOND_US) + 1, row)])
            await advance_until(clock, poll.done, step_s=step_s)
            page = poll.result().json()
            assert [record["id"] for record in page["records"]] == expected
            assert (clock.elapsed_us() - begun_us < 30 * SECOND_US) is arrives
            cursor = page["resume_cursor"]

    async def whole() -> None:
        transport = httpx.ASGITransport(app=service.app)  # type: ignore[arg-type] # httpx knows dicts only
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await use(client)

    engine.loop.run(whole())
