"""Exports that are too many, that break off, and that are not read to their end: over sockets, as the service runs."""

import asyncio
import logging
from collections.abc import Callable

import httpx
import msgspec
import pytest

from app.runtime.instants import to_text
from app.stores.source import QueryTimeoutError, QueryTooExpensiveError, StoreBusyError, StoreUnavailableError
from tests.contract.service import problem_of
from tests.contract.stores import T0_US
from tests.query.export_server import Exporting, ScriptedRunner, exporting

SINCE = to_text(T0_US)
FORMATS = ("ndjson", "csv", "arrow")
FAILURE = StoreUnavailableError("the table is gone")


def target(form: str = "ndjson", **more: str) -> httpx.URL:
    """Return what asks for an export."""
    return httpx.URL("/v1/records", params={"since": SINCE, "limit": "all", "format": form, **more})


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(60):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def standstill(value: Callable[[], int]) -> int:
    """Return `value` once it has not changed for a while."""
    seen, times = value(), 0
    while times < 50:
        await asyncio.sleep(0.01)
        seen, times = (seen, times + 1) if value() == seen else (value(), 0)
    return seen


async def read(answer: httpx.Response, got: bytearray) -> None:
    """Read the rest of an answer into `got`."""
    async for piece in answer.aiter_raw():
        got += piece


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("failure", [FAILURE, ZeroDivisionError("of a defect\nSELECT secret")], ids=["store", "defect"])
async def test_a_failure_on_the_way_is_seen_by_the_client(
    form: str, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection breaks, what had come is whole, no end is told of, and the log has one line without SQL."""
    runner = ScriptedRunner([3, 2, failure])
    async with exporting(runner) as server:
        with caplog.at_level(logging.WARNING):
            more = {} if form == "arrow" else {"end": "true"}
            got = bytearray()
            async with server.client.stream("GET", target(form, **more)) as answer:
                assert answer.status_code == 200
                with pytest.raises(httpx.RemoteProtocolError):
                    await read(answer, got)
    assert runner.ended == 1
    if form == "arrow":
        assert not got.endswith(b"\xff\xff\xff\xff\x00\x00\x00\x00")
    else:
        assert got.count(b"\n") == 5 + (form == "csv")
        assert got.endswith(b"\n")
        assert b"end" not in got
    (record,) = caplog.records
    assert record.getMessage().startswith(f"/v1/records was aborted after {len(got)} bytes: ")
    assert "SELECT" not in caplog.text


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (QueryTooExpensiveError(10, 20), 422, "query_too_expensive"),
        (StoreBusyError("later"), 503, "store_busy"),
        (QueryTimeoutError(3.0), 504, "query_timeout"),
        (FAILURE, 503, "store_unavailable"),
        (ZeroDivisionError(), 500, "internal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_fails_at_once_is_a_problem(failure: Exception, status: int, code: str) -> None:
    """With its own status, and the next export is served."""
    runner = ScriptedRunner([failure], [1])
    async with exporting(runner) as server:
        answer = await server.client.get(target())
        assert answer.status_code == status
        assert problem_of(answer)["code"] == code
        assert (await server.client.get(target())).status_code == 200


async def test_one_export_too_many_waits() -> None:
    """It is served when another one has ended; HEAD and pages do not wait for exports."""
    go = asyncio.Event()
    runner = ScriptedRunner([1, go, 1])
    async with exporting(runner, max_reads=8) as server:
        async with server.client.stream("GET", target()) as one:
            waiting = asyncio.create_task(server.client.get(target()))
            assert (await server.client.head(target())).status_code == 200
            assert (await server.client.get("/v1/records")).status_code == 200
            assert (runner.begun, runner.ended) == (1, 0)
            go.set()
            assert (await one.aread()).count(b"\n") == 2
        assert (await waiting).content.count(b"\n") == 2
    assert runner.begun == runner.ended == 2


async def test_a_client_that_goes_ends_its_query() -> None:
    """Whether rows had come or none yet; and its slot is free again."""
    never = asyncio.Event()
    runner = ScriptedRunner([1, never], [never], [2])
    async with exporting(runner, max_reads=8) as server:
        async with server.client.stream("GET", target()) as answer:
            assert await anext(answer.aiter_raw())
        await until(lambda: runner.ended == 1)
        early = asyncio.create_task(server.client.get(target()))
        await until(lambda: runner.begun == 2)
        early.cancel()
        await until(lambda: runner.ended == 2)
        assert (await server.client.get(target())).content.count(b"\n") == 2


async def test_a_slow_reader_is_waited_for() -> None:
    """What it has not read is not read from the store: memory holds some pieces, whatever the export's length."""
    batches, rows = 60, 500
    runner = ScriptedRunner([rows] * batches, data="x" * 2_000)
    async with exporting(runner) as server, server.client.stream("GET", target(end="true")) as answer:
        handed_out = await standstill(lambda: runner.batches)
        assert 0 < handed_out < batches // 2
        *_, last = (await answer.aread()).splitlines()
    told = msgspec.json.decode(last)
    assert (told["end"], told["records"]) == (True, batches * rows)
    assert runner.batches == batches


async def begun(server: Exporting) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for an export on a connection of its own, and return that once the answer has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {target()} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_a_stopping_service_ends_its_exports(caplog: pytest.LogCaptureFixture) -> None:
    """Within the grace they come to their end; after it they are broken off, which is logged; and no other begins."""
    soon, never = asyncio.Event(), asyncio.Event()
    runner = ScriptedRunner([1, soon, 1], [1, never, 1])
    async with exporting(runner) as server:
        (quick, one), (slow, other) = await begun(server), await begun(server)
        draining = asyncio.create_task(server.reads.drain(8.0))
        await until(server.reads.stopping.is_set)
        assert problem_of(await server.client.get(target()))["code"] == "unavailable"
        soon.set()
        assert (await quick.readuntil(b"\r\n0\r\n\r\n")).count(b"\n{") == 2
        assert not draining.done()
        await server.clock.advance(8.0)
        await draining
        assert runner.ended == 2
        rest = await slow.read()
        assert rest.count(b"\n{") == 1
        assert b"\r\n0\r\n\r\n" not in rest
        assert "the service is stopping" in caplog.text
        one.close()
        other.close()
