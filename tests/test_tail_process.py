"""Tails of the service as a real process: what its clients see of the server, the socket and the signals."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.sse import Event, EventSource
from tests.support.process import serving

PATH = "/v1/records/tail"


class Following:
    """A client that reads a tail."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer, self.source = answer, EventSource()
        self._pieces = answer.aiter_raw()
        self._events: list[Event] = []

    async def next(self) -> Event:
        """Return the next event, as soon as it has come."""
        async with asyncio.timeout(patience_s(60)):
            while not self._events:
                self._events += self.source.feed(await anext(self._pieces))
        return self._events.pop(0)

    async def opened(self) -> None:
        """Wait until the stream has begun."""
        async with asyncio.timeout(patience_s(60)):
            while not self.source.last_event_id:
                self._events += self.source.feed(await anext(self._pieces))


@asynccontextmanager
async def following(client: httpx.AsyncClient, query: str = "", **headers: str) -> AsyncIterator[Following]:
    """Read a tail until the block ends; then hang up."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    async with client.stream("GET", f"{PATH}?{query}", headers=sent) as answer:
        assert answer.status_code == 200, await answer.aread()
        tail = Following(answer)
        await tail.opened()
        yield tail


async def post(client: httpx.AsyncClient, *ids: str) -> None:
    """Store records."""
    for record_id in ids:
        record: dict[str, Any] = {"id": record_id, "timestamp": "2026-01-31T12:00:00Z"}
        assert (await client.post("/v1/records", json=record)).status_code == 201


async def test_events_come_while_the_connection_lasts_and_a_new_one_goes_on(tmp_path: Path) -> None:
    """Each record arrives before the next one is stored, and nothing is lost or repeated between connections."""
    async with serving(tmp_path / "data.duckdb") as (_, client):
        async with following(client, "fields=id") as tail:
            for record_id in ("a", "b"):
                await post(client, record_id)
                event = await tail.next()
                assert (event.name, event.data) == ("record", {"id": record_id})
        await post(client, "c")
        async with following(client, "fields=id", last_event_id=event.id) as tail:
            assert (await tail.next()).data == {"id": "c"}
            await post(client, "d")
            assert (await tail.next()).data == {"id": "d"}


async def test_who_hangs_up_makes_room_at_once(tmp_path: Path) -> None:
    """Also while nothing is being sent."""
    async with serving(tmp_path / "data.duckdb", {"max_tails": 1}) as (_, client):
        async with following(client):
            refused = await client.get(PATH)
            assert (refused.status_code, refused.json()["code"]) == (429, "busy")
            assert int(refused.headers["retry-after"]) > 0
        async with asyncio.timeout(patience_s(60)):
            while True:
                async with client.stream("GET", PATH) as answer:
                    if answer.status_code == 200:
                        break
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("reads", [True, False])
async def test_sigterm_ends_streams_within_the_grace(tmp_path: Path, *, reads: bool) -> None:
    """At once, and even where a client has stopped reading."""
    grace_s = 8.0 if reads else 0.5
    large = "x" * 1_000_000
    async with (
        serving(tmp_path / "data.duckdb", {"shutdown_grace_s": grace_s}) as (process, client),
        following(client) as tail,
    ):
        for number in range(0 if reads else 30):
            record = {"id": f"r{number}", "timestamp": "2026-01-31T12:00:00Z", "data": large}
            assert (await client.post("/v1/records", json=record)).status_code == 201
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        assert await process.terminate() == 0
        assert loop.time() - begun_s < 5
        if reads:
            event = await tail.next()
            assert (event.name, event.data) == ("end", {"reason": "stopping"})
            with pytest.raises(StopAsyncIteration):
                await tail.next()
