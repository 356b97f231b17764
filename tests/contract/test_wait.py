"""Long polls over every store: they end with the first record, with their time, or with the service."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from app.runtime.instants import SECOND_US
from sluice.testing.clock import FakeClock
from tests.contract.service import SINCE, Service, default_record
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, Engine
from tests.contract.watched import Watched
from tests.encoding import encoded

pytestmark = pytest.mark.above_the_stores

Use = Callable[[httpx.AsyncClient, FakeClock], Awaitable[None]]


class Polled:
    """A service whose queries and pauses are counted, and which is used while the clock is moved."""

    def __init__(self, engine: Engine, service: Service) -> None:
        self.runner = Watched(service.store.runner)
        self.service = Service(engine, service.store, runner=self.runner)
        assert isinstance(service.store.clock, FakeClock)
        self.clock, self.pauses = service.store.clock, 0
        pause = self.service.reads.pause

        async def counted(seconds: float) -> bool:
            self.pauses += 1
            return await pause(seconds)

        self.service.reads.pause = counted  # type: ignore[method-assign] # the poll's own, and counted

    def use(self, use: Use) -> None:
        """Run `use` in the loop of the store."""

        async def whole() -> None:
            transport = httpx.ASGITransport(app=self.service.app)  # type: ignore[arg-type] # httpx knows dicts only
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                await use(client, self.clock)

        self.service.engine.loop.run(whole())

    async def pausing(self, times: int) -> None:
        """Wait until the poll pauses for so many times."""
        async with asyncio.timeout(60):
            while self.pauses < times:  # noqa: ASYNC110 - a condition on a number, which has no event
                await asyncio.sleep(0.001)

    async def put(self, record_id: str) -> None:
        """Store a record that is settled as soon as the clock has moved on."""
        store = self.service.store
        row = encoded(store.appender(RECORDS), default_record(record_id), envelope(record_id))
        await store.put(RECORDS, [(store.clock.now_us() - round(self.service.engine.settle_s * SECOND_US) + 1, row)])


@pytest.fixture
def polled(engine: Engine, service: Service) -> Polled:
    """Give the service over three settled records."""
    return Polled(engine, service)


def test_a_poll_returns_when_a_record_arrives(polled: Polled) -> None:
    """As soon as the store is looked at again, and with a cursor behind it."""

    async def use(client: httpx.AsyncClient, clock: FakeClock) -> None:
        cursor = (await client.get(f"/v1/records?since={SINCE}")).json()["resume_cursor"]
        poll = asyncio.create_task(client.get("/v1/records", params={"cursor": cursor, "wait": "30"}))
        await polled.pausing(1)
        await clock.advance(polled.runner.profile.poll_s)
        await polled.pausing(2)
        assert not poll.done()
        await polled.put("late")
        await clock.advance(polled.runner.profile.poll_s)
        async with asyncio.timeout(60):
            answer = await poll
        assert [record["id"] for record in answer.json()["records"]] == ["late"]
        again = await client.get("/v1/records", params={"cursor": answer.json()["resume_cursor"]})
        assert again.json()["records"] == []

    polled.use(use)


def test_a_poll_ends_with_its_time(polled: Polled) -> None:
    """Empty, with a cursor to go on from; not a moment earlier."""

    async def use(client: httpx.AsyncClient, clock: FakeClock) -> None:
        wait_s = 2.5 * polled.runner.profile.poll_s
        poll = asyncio.create_task(client.get(f"/v1/records?since=now&wait={wait_s:g}"))
        for number, share in enumerate((1.0, 1.0, 0.5), start=1):
            await polled.pausing(number)
            assert not poll.done()
            await clock.advance(share * polled.runner.profile.poll_s)
        async with asyncio.timeout(60):
            answer = await poll
        assert (answer.status_code, answer.json()["records"]) == (200, [])
        assert answer.json()["resume_cursor"]

    polled.use(use)
