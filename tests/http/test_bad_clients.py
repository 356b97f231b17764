"""Clients that hold sockets, bodies and answers for nothing, against the real process: they hurt nobody else."""

import asyncio
import http.client
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.long_form import IS_LONG
from tests.raw_client import connected, many, peak_bytes, read_to_end, status
from tests.support.process import Process, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what the system knows of connections is read on Linux")
MIB = 1024**2
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
UPLOAD = b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
TAIL = b"GET /v1/records/tail HTTP/1.1\r\nHost: localhost\r\n\r\n"
DOCUMENT = b"GET /openapi/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def service(
    tmp_path: Path, numbers: Mapping[str, float] | None = None, /, **settings: str
) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """Run the service, and look at its liveness over a new connection each time."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with (
        serving(tmp_path / "sluice.duckdb", numbers, **settings) as (running, _),
        httpx.AsyncClient(base_url=running.url, timeout=patience_s(30), limits=limits) as fresh,
    ):
        yield running, fresh


async def alive(client: httpx.AsyncClient, times: int = 5) -> None:
    """Check that the service answers."""
    for _ in range(times):
        assert (await client.get("/health/live")).status_code == 200


async def test_clients_that_read_nothing_hold_little_and_are_ended_by_the_kernel(tmp_path: Path) -> None:
    """Each document is more than a megabyte: the service holds a part of each, until the client has stalled."""
    settings = {"record": "tests.http.long_description:Event"}
    async with service(tmp_path, {"client_stall_s": 2}, **settings) as (running, client):
        assert len((await client.get("/openapi/openapi.json")).content) > MIB
        before = peak_bytes(running.process.pid)
        with many(300 if IS_LONG else 150, running.url, DOCUMENT, small_window=True) as unread:
            await alive(client)
            await running.line_with("/openapi/openapi.json was aborted")
            assert peak_bytes(running.process.pid) - before < 120 * MIB
            received = [await asyncio.to_thread(read_to_end, each) for each in unread]
            assert [each for each in received if len(each) < MIB]  # later ones have not stalled for long enough yet
        assert (await client.get("/openapi/openapi.json")).status_code == 200


async def test_tails_that_read_nothing_are_bounded_and_ended(tmp_path: Path) -> None:
    """Thirty of them and three large records took a third of a gigabyte; a tail that reads gets every record."""
    async with service(tmp_path, {"max_tails": 40, "client_stall_s": 2}) as (running, client):
        before = peak_bytes(running.process.pid)
        with many(29, running.url, TAIL, small_window=True):
            async with client.stream("GET", "/v1/records/tail") as reading:
                assert reading.status_code == 200
                for number in range(3):
                    record = {"id": str(number), "timestamp": "2026-01-01T00:00:00Z", "data": "x" * 3_900_000}
                    assert (await client.post("/v1/records", json=record)).status_code == 201
                found = 0
                async for line in reading.aiter_lines():
                    found += line == "event: record"
                    if found == 3:
                        break
            await alive(client)
            assert peak_bytes(running.process.pid) - before < 200 * MIB  # each would hold 12 MB
            await running.line_with("/v1/records/tail was aborted")


async def test_unfinished_uploads_are_counted_and_answered_when_the_service_stops(tmp_path: Path) -> None:
    """What has arrived counts, no caller has all of it, and a stop says so instead of failing."""
    async with service(tmp_path, max_in_flight_bytes=str(32 * MIB)) as (running, client):
        part = b"%x\r\n" % MIB + b" " * MIB + b"\r\n"
        with many(8, running.url, UPLOAD) as uploads:
            for upload in uploads:
                for _ in range(6):
                    await asyncio.to_thread(upload.sendall, part)
            ready = await _settled(client)
            assert 18 * MIB <= ready["in_flight_bytes"] <= 24 * MIB
            stopping = asyncio.create_task(running.terminate())
            answers = [await asyncio.to_thread(status, each) for each in uploads]
            assert sorted(set(answers)) == [429, 503]
            assert answers.count(503) == ready["in_flight_messages"]
            assert await stopping == 0
        assert running.process.stdout is not None
        log = b"".join([line.encode() for line in running.said]) + await running.process.stdout.read()
        assert b"Traceback" not in log


async def _settled(client: httpx.AsyncClient) -> dict[str, int]:
    """Return what is in flight once that changes no more."""
    before: dict[str, int] = {}
    while True:
        ready = (await client.get("/health/ready")).json()
        found = {name: ready[name] for name in ("in_flight_messages", "in_flight_bytes")}
        if found == before:
            return found
        before = found
        await asyncio.sleep(0.2)


EARLY = [("/pubsub/push", {"Authorization": "Bearer a.b.c"}, 401), ("/v1/records", {}, 413), ("/v1/stats", {}, 404)]


async def test_a_client_that_sends_its_whole_body_first_sees_the_refusal(tmp_path: Path) -> None:
    """A body that is not needed is read, or the kernel would reset the connection; one in HTTP/2 is not waited for."""

    def parts() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * MIB

    def ask(url: SplitResult, path: str, headers: dict[str, str], *, is_chunked: bool) -> int:
        body = parts() if is_chunked else b" " * 20 * MIB
        with closing(http.client.HTTPConnection(str(url.hostname), url.port, timeout=30)) as client:
            client.request("POST", path, body, headers, encode_chunked=is_chunked)
            answer = client.getresponse()
            assert json.loads(answer.read())["status"] == answer.status
            return answer.status

    async with service(tmp_path) as (running, _):
        for path, headers, expected in EARLY:
            for is_chunked in (False, True, False, True):
                found = await asyncio.to_thread(ask, urlsplit(running.url), path, headers, is_chunked=is_chunked)
                assert found == expected, (path, is_chunked)
        with connected(running.url, PREFACE) as client:
            assert await asyncio.to_thread(read_to_end, client) == b""
