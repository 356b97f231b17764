"""One stream, on real sockets: what is sent, and what is not sent any more."""

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from app.clock import FakeClock
from app.ingest.appender import Outcome, Stored, Uncertain
from app.ingest.connection import Connection, channel_options
from tests.ingest.scripted import turns
from tests.misbehaving.faults import EndStream, Fault, Remark
from tests.misbehaving.plain_client import SCHEMA, STREAM, Unstamped, row
from tests.misbehaving.server import MisbehavingServer, misbehaving
from tests.misbehaving.waiting import until
from tests.misbehaving.wire import Link


def megabytes() -> list[bytes]:
    """Return more rows than a connection takes in before its peer reads."""
    return [row(f"large {number}".ljust(120)) for number in range(60_000)]


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[MisbehavingServer, Connection]]:
    """Open a connection on which a first row is stored."""
    async with misbehaving(FakeClock()) as server:
        channel = grpc.aio.insecure_channel(server.url.removeprefix("http://"), options=channel_options(10.0))
        connection = Connection(channel, STREAM, SCHEMA, "test")
        assert await connection.append([row("first")], Unstamped()) == Stored()
        try:
            yield server, connection
        finally:
            await connection.close()


async def one_on_its_way(
    server: MisbehavingServer, connection: Connection
) -> tuple[Link, asyncio.Task[Outcome], asyncio.Task[Outcome]]:
    """Return the link, which takes nothing in until it thaws, a request that is being written, and one behind it."""
    (link,) = server.wire.open_links
    link.freeze()
    large = asyncio.create_task(connection.append(megabytes(), Unstamped()))
    patient = asyncio.create_task(connection.append([row("patient")], Unstamped()))
    await until(lambda: connection.requests_in_flight == 2)
    await turns()
    return link, large, patient


async def test_a_request_that_was_given_up_before_it_was_sent_is_never_sent() -> None:
    """Its stamp would be older than readers reckon with; the requests around it keep their answers."""
    async with connected() as (server, connection):
        (link,) = server.wire.open_links
        link.freeze()
        large = asyncio.create_task(connection.append(megabytes(), Unstamped()))
        late = asyncio.create_task(connection.append([row("late")], Unstamped()))
        patient = asyncio.create_task(connection.append([row("patient")], Unstamped()))
        await until(lambda: connection.requests_in_flight == 3)
        late.cancel()
        await asyncio.wait([late])
        assert connection.retired
        link.thaw()
        assert (await large, await patient) == (Stored(), Stored())
        assert [arrival.ids[0].strip() for arrival in server.arrivals] == ["first", "large 0", "patient"]
        assert (connection.requests_in_flight, connection.bytes_in_flight) == (0, 0)


async def test_a_request_that_was_given_up_while_it_was_written_ends_the_stream_and_never_arrives() -> None:
    """Nobody could say when it would; what waits behind it is Uncertain at once."""
    async with connected() as (server, connection):
        link, large, patient = await one_on_its_way(server, connection)
        large.cancel()
        await until(connection.ended.done)
        assert isinstance(await patient, Uncertain)
        assert connection.retired
        link.thaw()
        await until(lambda: not server.open_streams)
        assert [arrival.ids for arrival in server.arrivals] == [("first",)]


async def test_a_request_that_is_written_when_the_stream_is_ended_is_uncertain_at_once() -> None:
    """The client tells it as a cancellation, which is none of the task: whoever waits would never be told."""
    async with connected() as (server, connection):
        link, large, patient = await one_on_its_way(server, connection)
        connection._call.cancel()  # as when the server answers to no request
        assert [type(outcome) for outcome in await asyncio.gather(large, patient)] == [Uncertain, Uncertain]
        assert connection.retired
        link.thaw()
        await until(lambda: not server.open_streams)


async def test_what_waits_for_a_server_that_says_nothing_is_uncertain_when_the_connection_is_closed() -> None:
    """It takes the connection and never speaks, so that the first request is not even on its way."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{silent.getsockname()[1]}", options=channel_options(10.0))
        connection = Connection(channel, STREAM, SCHEMA, "test")
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b")]
        await until(lambda: connection.requests_in_flight == 2)
        await turns()
        await connection.close()
        async with asyncio.timeout(60):
            assert [type(outcome) for outcome in await asyncio.gather(*appends)] == [Uncertain, Uncertain]


@pytest.mark.parametrize("updated_schema", [False, True])
async def test_a_response_that_answers_nobody_ends_the_stream(*, updated_schema: bool) -> None:
    """By their order answers find their requests: after it, none could be believed."""
    async with connected() as (server, connection):
        server.decide = lambda _: Fault(stores=False, answer=Remark(updated_schema=updated_schema))
        outcomes = await asyncio.gather(
            connection.append([row("a")], Unstamped()), connection.append([row("b")], Unstamped())
        )
        assert [type(each) for each in outcomes] == [Uncertain, Uncertain]
        assert connection.updated_schema == updated_schema
        assert connection.retired
        assert not connection.blames_one
        await until(lambda: not server.open_streams)


async def test_an_answer_that_comes_before_the_request_was_sent_is_not_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits for its turn, or for the stream to open: nothing of it is stored, whatever the server says."""
    opened = asyncio.Event()

    async def open_later(_: Connection) -> None:
        await opened.wait()

    monkeypatch.setattr(Connection, "_open", open_later)
    async with misbehaving(FakeClock()) as server:
        server.speaks_first = True
        channel = grpc.aio.insecure_channel(server.url.removeprefix("http://"), options=channel_options(10.0))
        connection = Connection(channel, STREAM, SCHEMA, "test")
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b")]
        await until(connection.ended.done)
        opened.set()
        assert [type(outcome) for outcome in await asyncio.gather(*appends)] == [Uncertain, Uncertain]
        assert connection.retired
        assert server.arrivals == []
        await connection.close()


async def test_an_answer_that_nobody_waits_for_ends_the_stream() -> None:
    """The next one could not be believed."""
    async with misbehaving(FakeClock()) as server:
        server.speaks_first = True
        channel = grpc.aio.insecure_channel(server.url.removeprefix("http://"), options=channel_options(10.0))
        connection = Connection(channel, STREAM, SCHEMA, "test")
        await until(connection.ended.done)
        assert connection.retired
        assert not connection.blames_one
        assert connection._receiving.cancelled(), "by our own doing"
        await connection.close()


@pytest.mark.parametrize(
    ("end", "others", "blames"),
    [
        (EndStream("INVALID_ARGUMENT", "an argument"), 1, True),
        (EndStream("INVALID_ARGUMENT", "an argument"), 0, False),
        (EndStream("INVALID_ARGUMENT", "AppendRows request too large: 11 limit 10"), 1, True),
        (EndStream("UNAVAILABLE", "draining"), 1, False),
        (EndStream("NOT_FOUND", "no table"), 1, False),
        (EndStream("RESOURCE_EXHAUSTED", "no quota"), 1, False),
    ],
)
async def test_only_an_end_that_speaks_of_one_of_several_requests_blames_one(
    end: EndStream, others: int, *, blames: bool
) -> None:
    """One request alone is blamed itself, and an end that is about the stream or the table is nobody's fault."""
    async with connected() as (server, connection):
        server.decide = lambda arrival: (
            Fault(stores=False, answer=end, at_once=True) if "last" in arrival.ids else Fault(answer_gate="never")
        )
        appends = [asyncio.create_task(connection.append([row(f"o{number}")], Unstamped())) for number in range(others)]
        await until(lambda: len(server.arrivals) == 1 + others)
        appends.append(asyncio.create_task(connection.append([row("last")], Unstamped())))
        outcomes = await asyncio.gather(*appends)
        assert connection.blames_one is blames
        if blames:
            assert {type(outcome) for outcome in outcomes} == {Uncertain}


@pytest.mark.parametrize(("margin_s", "timeout_ms"), [(0.001, 1_000), (5.0, 5_000), (60.0, 10_000)])
def test_a_dead_connection_is_given_up_within_the_margin_of_a_late_commit(margin_s: float, timeout_ms: int) -> None:
    """On Linux the kernel tries to deliver for as long as the keep-alive waits, and so could deliver late."""
    assert dict(channel_options(margin_s))["grpc.keepalive_timeout_ms"] == timeout_ms


async def test_an_idle_connection_does_not_hold_the_last_request() -> None:
    """Ten megabytes for each connection, for nine minutes, would be a lot."""
    async with connected() as (_, connection):
        rows = megabytes()
        tracemalloc.start()
        try:
            assert await connection.append(rows, Unstamped()) == Stored()
            taken = tracemalloc.take_snapshot()
        finally:
            tracemalloc.stop()
        of_requests = taken.filter_traces([tracemalloc.Filter(True, "*/append_request.py")])
        assert sum(trace.size for trace in of_requests.traces) < sum(map(len, rows)) / 10
