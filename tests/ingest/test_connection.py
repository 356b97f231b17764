"""One stream, on real sockets: what is sent, and what is not sent any more."""

import asyncio

import grpc.aio

from app.clock import FakeClock
from app.ingest.appender import Stored
from app.ingest.connection import Connection, channel_options
from tests.misbehaving.plain_client import SCHEMA, STREAM, row
from tests.misbehaving.server import misbehaving
from tests.misbehaving.waiting import until


def megabytes() -> list[bytes]:
    """Return more rows than a connection takes in before its peer reads."""
    return [row(f"large {number}".ljust(120)) for number in range(60_000)]


async def test_a_request_that_was_given_up_before_it_was_sent_is_never_sent() -> None:
    """Its stamp would be older than readers reckon with; the requests around it keep their answers."""
    async with misbehaving(FakeClock()) as server:
        channel = grpc.aio.insecure_channel(server.url.removeprefix("http://"), options=channel_options(10.0))
        connection = Connection(channel, STREAM, SCHEMA, "test")
        assert await connection.append([row("first")]) == Stored()
        (link,) = server.wire.open_links
        link.freeze()
        large = asyncio.create_task(connection.append(megabytes()))
        late = asyncio.create_task(connection.append([row("late")]))
        patient = asyncio.create_task(connection.append([row("patient")]))
        await until(lambda: connection.requests_in_flight == 3)
        late.cancel()
        await asyncio.wait([late])
        assert connection.retired
        link.thaw()
        assert (await large, await patient) == (Stored(), Stored())
        assert [arrival.ids[0].strip() for arrival in server.arrivals] == ["first", "large 0", "patient"]
        assert (connection.requests_in_flight, connection.bytes_in_flight) == (0, 0)
        await connection.close()
