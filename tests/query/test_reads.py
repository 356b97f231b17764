"""Reads under way when the service stops."""

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from litestar import Response

from app.http.problems import ProblemError
from app.query.read.reads import Reads
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns
from tests.support.process import serving


class Staying:
    """A request whose client stays."""

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}


REQUEST: Any = Staying()


async def answer_after(go: asyncio.Event) -> Response[bytes]:
    """Be a read that takes until it is let go."""
    await go.wait()
    return Response(b"done")


async def test_a_stopping_service_waits_for_its_reads_as_long_as_it_has() -> None:
    """What is answered within the grace keeps its answer; the rest is told to try elsewhere."""
    clock, go = FakeClock(), asyncio.Event()
    reads = Reads(clock)
    quick = asyncio.create_task(reads.run(REQUEST, answer_after(go)))
    slow = asyncio.create_task(reads.run(REQUEST, answer_after(asyncio.Event())))
    await turns()
    draining = asyncio.create_task(reads.drain(8.0))
    await turns()
    go.set()
    assert (await quick).content == b"done"
    assert not draining.done()
    await clock.advance(8.0)
    await draining
    with pytest.raises(ProblemError, match="shutting down") as told:
        await slow
    assert told.value.code == "unavailable"
    with pytest.raises(ProblemError, match="shutting down"):
        await reads.run(REQUEST, answer_after(go))


async def test_a_stop_waits_until_what_it_ended_has_let_go_of_the_store() -> None:
    """A query that is cancelled while the store is already closed would go on."""
    clock, let_go = FakeClock(), asyncio.Event()
    reads = Reads(clock)

    async def read() -> Response[bytes]:
        try:
            return await answer_after(asyncio.Event())
        finally:
            await let_go.wait()

    reading = asyncio.create_task(reads.run(REQUEST, read()))
    await turns()
    draining = asyncio.create_task(reads.drain(8.0))
    await turns()
    await clock.advance(8.0)
    await turns()
    assert not draining.done()
    let_go.set()
    await draining
    with pytest.raises(ProblemError, match="shutting down"):
        await reading


@pytest.mark.parametrize("steps", range(1, 5))
async def test_a_read_that_ends_before_it_began_leaves_nothing_behind(steps: int) -> None:
    """However many turns of the loop it had."""
    work = answer_after(asyncio.Event())
    handler = asyncio.create_task(Reads(FakeClock()).run(REQUEST, work))
    for _ in range(steps):
        await asyncio.sleep(0)
    handler.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handler
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_the_process_does_not_wait_for_a_store_that_never_answers() -> None:
    """The library's thread waits on; the process has ended, and its client was answered."""
    asked = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/queries" in await reader.readuntil(b"\r\n"):
            asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    settings = {
        "backend": "bigquery",
        "bigquery_project": "p",
        "bigquery_dataset": "d",
        "bigquery_rest_url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "bigquery_storage_url": "http://127.0.0.1:1",
    }
    async with serving(Path("unused"), {"shutdown_grace_s": 0.2}, **settings) as (service, client):
        read = asyncio.create_task(client.get("/v1/records"))
        await asked.wait()
        assert await service.terminate() == 0
        assert (await read).status_code == 503
    server.close()
