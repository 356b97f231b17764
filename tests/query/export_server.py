"""Exports over a store that does as a test says, behind the server that the service has."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
from granian.constants import Interfaces
from granian.server.embed import Server

from app.query.answer.arrow import ArrowEncoder
from app.query.read.reads import Reads
from app.runtime.instants import HOUR_US
from app.settings.load import Settings
from app.stores.query import ArrowQuery, Query
from app.stores.source import Answer, LearnHorizon, Plan, ReadProfile, Row
from app.telemetry.metrics import Metrics
from app.telemetry.requests import Requests
from app.telemetry.tracing import Tracing
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from tests.contract.application import application, query_application
from tests.contract.shelf import envelope
from tests.contract.stores import RECORDS, T0_US
from tests.support.process import free_port

Step = int | Exception | asyncio.Event
"""What an export comes to next: a batch of so many rows, a failure, or nothing until the event."""


class ScriptedRunner:
    """Answers every export with the next of the scripts, the last of them again and again."""

    profile = ReadProfile(first_slice_us=HOUR_US, first_look_up_us=HOUR_US, materializes=True)
    learn_horizon: LearnHorizon | None = None

    def __init__(self, *scripts: Sequence[Step], data: str = "") -> None:
        self._scripts = [*scripts]
        self._data = msgspec.Raw(msgspec.json.encode(data))
        self.begun, self.ended = 0, 0
        """Of how many exports the rows were asked for, and of how many they are no longer."""
        self.batches = 0
        """How many batches were handed out."""

    async def rows(self, query: Query) -> Answer:
        return Answer([])

    def horizon_us(self, table: str) -> int:
        return T0_US + HOUR_US

    def version(self, table: str) -> int:
        return 0

    async def explain(self, query: Query) -> Plan:
        return Plan("", {})

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.begun += 1
        encoder, number = ArrowEncoder(RECORDS.columns), 0
        try:
            yield encoder.begin()
            for step in script:
                match step:
                    case Exception():
                        raise step
                    case asyncio.Event():
                        await step.wait()
                    case int():
                        yield encoder.encode([self._row(number + each) for each in range(step)])
                        self.batches += 1
                        number += step
            yield encoder.end()
        finally:
            self.ended += 1

    def _row(self, number: int) -> Row:
        at = datetime(2023, 11, 14, 22, 30, tzinfo=UTC)
        record = {"id": f"id{number}", "timestamp": at, "source": None, "data": self._data}
        return {**record, **envelope(f"k{number}"), "attributes": msgspec.Raw(b"{}"), "ingest_time": at}


class Exporting(msgspec.Struct, frozen=True):
    """A server of exports, and a client of it."""

    client: httpx.AsyncClient
    port: int
    reads: Reads
    clock: FakeClock


@asynccontextmanager
async def embedded(app: Any) -> AsyncIterator[int]:
    """Serve `app` as the service is served, until the block ends; give the port, once somebody listens."""
    port = free_port()
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(patience_s(60)):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    break
        yield port
    finally:
        server.stop()
        await serving


@asynccontextmanager
async def exporting(runner: Any, **settings: Any) -> AsyncIterator[Exporting]:
    """Serve until the block ends."""
    clock = FakeClock(T0_US + HOUR_US)
    query_service = query_application(runner, clock, Settings().replace(**settings))
    async with (
        embedded(_logged(application(query_service.routes), clock)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=patience_s(30)) as client,
    ):
        yield Exporting(client, port, query_service.reads, clock)


def _logged(app: Any, clock: FakeClock) -> Any:
    """Return `app` behind what logs its responses that were cut short."""
    requests = Requests(Metrics(), Tracing(None), clock)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await requests.answer(app, scope, receive, send)
        else:
            await app(scope, receive, send)

    return answer
