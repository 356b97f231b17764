"""Lend the connections of one table: one to N of them, opened by load."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.runtime.clock import MICROSECONDS, Clock
from app.stores.bigquery.connection import Connection

# One connection carries about 10 MB/s (https://cloud.google.com/bigquery/docs/write-api-best-practices), so more
# bytes in flight on it only wait. Several requests in flight hide the latency of each.
MAX_REQUESTS, MAX_BYTES = 8, 10_000_000
# A stream that ended because of one of several requests, unknown which, would end like that again. For a while, each
# connection carries one request at a time, so that the next end is about one request only.
ALONE_US = 60 * MICROSECONDS

_log = logging.getLogger("sluice.storage_write")


class ConnectionsClosedError(Exception):
    """The connections are closed, so none can be lent."""


class Connections:
    """Lends connections that have room for a request, opening up to `max_connections` of them.

    BigQuery closes a connection after 600 s without a request.
    """

    def __init__(self, open_connection: Callable[[], Connection], clock: Clock, max_connections: int) -> None:
        self._open_connection, self._clock, self._max = open_connection, clock, max_connections
        self._open: list[Connection] = []
        self._queue = asyncio.Lock()  # the first to come waits for room, the others for the first
        self._room = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._alone_until_us = 0
        self._closed = False

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    @asynccontextmanager
    async def lend(self, size: int) -> AsyncIterator[Connection]:
        """Lend a connection with room for a request of `size` bytes, waiting for one if all are busy.

        Raises:
            ConnectionsClosedError: they were closed.
        """
        async with self._queue:
            while (connection := self._with_room(size)) is None:
                self._room.clear()
                await self._room.wait()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def retire(self) -> None:
        """Use no open connection for a new request; the next request opens a fresh one."""
        for connection in list(self._open):
            connection.retired = True
            self._give_back(connection)

    async def close(self) -> None:
        """Close every connection; callers that wait for one get ConnectionsClosedError."""
        self._closed = True
        for connection in list(self._open):
            self._drop(connection)
        self._room.set()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _with_room(self, size: int) -> Connection | None:
        if self._closed:
            raise ConnectionsClosedError
        most = 1 if self._clock.elapsed_us() < self._alone_until_us else MAX_REQUESTS
        usable = [connection for connection in self._open if not connection.retired]
        for connection in usable:  # in order of opening, so that the last ones can fall idle
            busy = connection.requests_in_flight
            if not busy or (busy < most and connection.bytes_in_flight + size <= MAX_BYTES):
                return connection
        if len(usable) >= self._max:
            return None
        opened = self._open_connection()
        opened.ended.add_done_callback(lambda _: self._give_back(opened))
        self._open.append(opened)
        _log.info("connection %d opened", len(self._open))
        return opened

    def _give_back(self, connection: Connection) -> None:
        if connection.ends_for_one:
            self._alone_until_us = self._clock.elapsed_us() + ALONE_US
        if connection.retired and not connection.is_awaited and connection in self._open:
            self._drop(connection)
        self._room.set()

    def _drop(self, connection: Connection) -> None:
        self._open.remove(connection)
        task = asyncio.ensure_future(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
