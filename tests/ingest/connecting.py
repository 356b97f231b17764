"""One connection: to a server that stores what it is sent, or to one that says nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from app.stores.bigquery.connection import Connection, channel_options
from app.stores.sink import Outcome, Stored
from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving.server import MisbehavingServer, misbehaving
from sluice.testing.misbehaving.waiting import until
from sluice.testing.misbehaving.wire import Link
from tests.ingest.scripted import turns
from tests.support.plain_client import SCHEMA, STREAM, Unstamped, row


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


@asynccontextmanager
async def silent() -> AsyncIterator[Connection]:
    """Make a connection to a server that takes it and never speaks; the block is to close it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.getsockname()[1]}", options=channel_options(10.0))
        yield Connection(channel, STREAM, SCHEMA, "test")


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
