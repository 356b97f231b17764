"""The connections to one table: one as long as it keeps up, more under load, none after a long silence."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.clock import Clock, Timer
from app.ingest.connection import Connection

# One connection carries about 10 MB/s (https://cloud.google.com/bigquery/docs/write-api-best-practices), so more
# bytes in flight on it only wait; requests in flight hide the time that each takes.
MAX_REQUESTS, MAX_BYTES = 4, 10_000_000
# The service closes a connection after 600 s without a request. One that load had called for goes sooner.
IDLE_S, EXTRA_IDLE_S = 540.0, 60.0

_log = logging.getLogger("sluice.storage_write")


class Connections:
    """Lends connections that have room for a request, opening up to `max_connections` of them."""

    def __init__(self, open_connection: Callable[[], Connection], clock: Clock, max_connections: int) -> None:
        self._open_connection, self._clock, self._max = open_connection, clock, max_connections
        self._open: list[Connection] = []
        self._idle: dict[Connection, Timer] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    @asynccontextmanager
    async def lend(self, size: int) -> AsyncIterator[Connection]:
        """Lend a connection with room for a request of `size` bytes, waiting for one where all are busy."""
        while (connection := self._with_room(size)) is None:
            room = asyncio.get_running_loop().create_future()
            self._waiting.append(room)
            try:
                await room
            except asyncio.CancelledError:
                if room in self._waiting:
                    self._waiting.remove(room)
                elif not room.cancelled():  # it was called, and passes the call on
                    self._wake_next()
                raise
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def retire(self) -> None:
        """Use none of the open connections for a new request: the next one goes on a fresh one."""
        for connection in list(self._open):
            connection.retired = True
            self._give_back(connection)

    async def close(self) -> None:
        """Close every connection."""
        for connection in list(self._open):
            self._drop(connection)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _with_room(self, size: int) -> Connection | None:
        usable = [connection for connection in self._open if not connection.retired]
        for connection in usable:  # the first ones first, so that the last ones can fall idle
            busy = connection.requests_in_flight
            if not busy or (busy < MAX_REQUESTS and connection.bytes_in_flight + size <= MAX_BYTES):
                return connection
        if len(usable) >= self._max:
            return None
        opened = self._open_connection()
        opened.ended.add_done_callback(
            lambda _: self._give_back(opened)
        )  # one that is idle may be closed by the server
        self._open.append(opened)
        _log.info("connection %d opened", len(self._open))
        return opened

    def _give_back(self, connection: Connection) -> None:
        if connection in self._open:
            if connection.retired:
                if not connection.is_awaited:
                    self._drop(connection)
            elif not connection.requests_in_flight:
                after_s = IDLE_S if connection is self._open[0] else EXTRA_IDLE_S
                self._idle[connection] = self._clock.call_later(after_s, lambda: self._drop(connection))
        self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            room = self._waiting.popleft()
            if not room.done():  # else whoever waited gave up in this turn of the loop
                room.set_result(None)
                return

    def _drop(self, connection: Connection) -> None:
        self._open.remove(connection)
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()
        task = asyncio.ensure_future(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
