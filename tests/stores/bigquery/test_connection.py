"""One stream, on real sockets: what is sent, and what is not sent any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import pytest

from app.stores.bigquery.connection import Connection, channel_options
from app.stores.sink import Outcome, Stored, Uncertain
from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving.faults import Fault, Refuse, in_turn, not_stored
from sluice.testing.misbehaving.server import MisbehavingServer, misbehaving
from sluice.testing.misbehaving.waiting import until
from sluice.testing.misbehaving.wire import Link
from tests.ingest.scripted import turns
from tests.support.plain_client import SCHEMA, STREAM, Unstamped, row


def megabytes() -> list[bytes]:
    """Return more rows than a connection takes in before its peer reads."""
    return [row(f"large {number}".ljust(120)) for number in range(60_000)]


@asynccontextmanager
async def connected(margin_s: float = 10.0) -> AsyncIterator[tuple[MisbehavingServer, Connection]]:
    """Open a connection on which a first row is stored."""
    async with misbehaving(FakeClock()) as server:
        channel = grpc.aio.insecure_channel(server.url.removeprefix("http://"), options=channel_options(margin_s))
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


async def test_a_request_that_is_written_when_the_stream_is_ended_is_uncertain() -> None:
    """The client tells it as a cancellation, which is none of the task: whoever waits would never be told.

    It does so once the kernel has given the connection up, whose peer reads nothing.
    """
    async with connected(1.0) as (server, connection):
        link, large, patient = await one_on_its_way(server, connection)
        connection._call.cancel()  # as when the server answers to no request
        assert [type(outcome) for outcome in await asyncio.gather(large, patient)] == [Uncertain, Uncertain]
        assert connection.retired
        link.thaw()


@pytest.mark.parametrize(("margin_s", "timeout_ms"), [(0.001, 1_000), (5.0, 5_000), (60.0, 10_000)])
def test_a_dead_connection_is_given_up_within_the_margin_of_a_late_commit(margin_s: float, timeout_ms: int) -> None:
    """On Linux the kernel tries to deliver for as long as the keep-alive waits, and so could deliver late."""
    assert dict(channel_options(margin_s))["grpc.keepalive_timeout_ms"] == timeout_ms


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


async def test_an_answer_finds_its_request_though_the_one_before_was_given_up() -> None:
    """What was sent is answered, whoever waits for it: the next one would be told what became of the first."""
    async with connected() as (server, connection):
        server.decide = in_turn(Fault(answer_gate="answers"), not_stored(Refuse("INTERNAL", "of the second")))
        appends = [asyncio.create_task(connection.append([row(name)], Unstamped())) for name in ("a", "b")]
        await until(lambda: len(server.arrivals) == 3)
        appends[0].cancel()
        await asyncio.wait(appends[:1])
        server.gate("answers").set()
        assert await appends[1] == Uncertain("INTERNAL: of the second")
