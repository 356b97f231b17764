"""BigQuery behind the Appender seam: the default stream of a table, through the Storage Write API.

Rows are durable and readable once acknowledged, at least once
(https://cloud.google.com/bigquery/docs/write-api#default_stream). If any row of a request is bad, nothing is stored.
This module combines the parts: `proto_rows` encodes, `connection` is one stream, and `append_responses` interprets an
answer. `retry_policy` says what the Writer does after each outcome.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.runtime.clock import MICROSECONDS, Clock, Timer
from app.runtime.deadlines import first_within
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.stores.bigquery.client import AccessError, BigQueryClients
from app.stores.bigquery.connection import Connection, channel_options
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.sink import Fence, Outcome, RowEncode, RowsRefused, SetupError, SinkState, Uncertain
from app.stores.stamping import AttemptStamp

# One connection carries about 10 MB/s (https://cloud.google.com/bigquery/docs/write-api-best-practices), so more
# bytes in flight on it only wait. Several requests in flight hide the latency of each.
MAX_REQUESTS, MAX_BYTES = 8, 10_000_000
# The service closes a connection after 600 s without a request. One that was opened for load is closed sooner.
IDLE_S, EXTRA_IDLE_S = 540.0, 60.0
# A stream that ended because of one of several requests, unknown which, would end like that again. For a while, each
# connection carries one request at a time, so that the next end has only one to blame.
ALONE_US = 60 * MICROSECONDS

_log = logging.getLogger("sluice.storage_write")
Check = Callable[[], Awaitable[SetupError | None]]
_LOOKING_FAILED = {SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED}
_LOOK_WAIT_S = 3.0  # by then BigQuery has nearly always answered, and the append has time left
_CHECK_HOLDS_US = 10 * MICROSECONDS  # while rows are bisected, the table is not checked for each half


class ConnectionsClosedError(Exception):
    """The connections are closed, so none can be lent."""


class Connections:
    """Lends connections that have room for a request, opening up to `max_connections` of them."""

    def __init__(self, open_connection: Callable[[], Connection], clock: Clock, max_connections: int) -> None:
        self._open_connection, self._clock, self._max = open_connection, clock, max_connections
        self._open: list[Connection] = []
        self._idle: dict[Connection, Timer] = {}
        self._tickets = itertools.count()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        """A heap by ticket: the first to come is called first, even if an earlier call found no room."""
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
        connection, ticket = None if self._waiting else self._with_room(size), next(self._tickets)
        while connection is None:
            await self._wait_for_room(ticket)
            connection = self._with_room(size)
        self._wake_next()  # there may be room for one more
        self._stop_idling(connection)
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
        while self._waiting:
            self._wake_next()
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
        # The server may close an idle connection.
        opened.ended.add_done_callback(lambda _: self._give_back(opened))
        self._open.append(opened)
        _log.info("connection %d opened", len(self._open))
        return opened

    def _give_back(self, connection: Connection) -> None:
        if connection.blames_one:
            self._alone_until_us = self._clock.elapsed_us() + ALONE_US
        if connection in self._open:
            if connection.retired:
                if not connection.is_awaited:
                    self._drop(connection)
            elif not connection.requests_in_flight:
                self._stop_idling(connection)
                after_s = IDLE_S if connection is self._open[0] else EXTRA_IDLE_S
                self._idle[connection] = self._clock.call_later(after_s, lambda: self._drop(connection))
        self._wake_next()

    async def _wait_for_room(self, ticket: int) -> None:
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (ticket, room))
        try:
            await room
        except asyncio.CancelledError:
            self._wake_next()  # it may have been called, or needed more room than those behind it
            raise

    def _wake_next(self) -> None:
        while self._waiting:
            _, room = heapq.heappop(self._waiting)
            if not room.done():  # else its caller has stopped waiting
                room.set_result(None)
                return

    def _stop_idling(self, connection: Connection) -> None:
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _drop(self, connection: Connection) -> None:
        self._open.remove(connection)
        self._stop_idling(connection)
        task = asyncio.ensure_future(connection.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


class StorageWriteAppender:
    """The Appender of one table in BigQuery.

    `check` checks the live table, `fence` says when rows are late, and `trace_id` identifies this service and instance
    to BigQuery's support.
    """

    target_in_flight = MAX_REQUESTS

    def __init__(  # noqa: PLR0913 - what one table's appender needs
        self,
        access: BigQueryClients,
        table: Table,
        clock: Clock,
        *,
        max_connections: int,
        check: Check,
        fence: Fence,
        trace_id: str = "sluice:local",
    ) -> None:
        self.fence = fence
        self.max_in_flight = max_connections * MAX_REQUESTS
        self._access, self._clock, self._look, self._trace_id = access, clock, check, trace_id
        self._stream = f"{access.place.table_path(table.name)}/streams/_default"
        self._rows = ProtoRowEncoder(table)
        self._channel_options = channel_options(fence.margin_us / MICROSECONDS)
        self._connections = Connections(self._open_connection, clock, max_connections)
        self._found: SetupError | None = None
        self._found_at_us: int | None = None
        self._looking: asyncio.Task[SetupError | None] | None = None

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return the encoder that turns the records of a message into protobuf rows without `ingest_time`."""
        return self._rows.encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one request, and return the outcome."""
        if _stands_in_the_way(self._found) and (obstacle := await self._obstacle()) is not None:
            return obstacle
        stamp = AttemptStamp(self._clock, self.fence, self._rows.stamp)
        try:
            if not self._access.is_loaded:
                await run_in_daemon_thread(self._access.load, "credentials")
            async with self._connections.lend(sum(map(len, rows))) as connection:
                outcome = await connection.append(rows, stamp)
            outcome = stamp.judge(outcome)
        except asyncio.CancelledError as cancelled:
            raise stamp.cancelled(cancelled) from None
        except AccessError as error:
            return SetupError(SinkState.PERMISSION_DENIED, str(error))
        except ConnectionsClosedError:
            return Uncertain("the service is stopping")
        if connection.updated_schema:
            connection.updated_schema = False
            self._begin_to_look()  # so the next append knows whether the table still fits; these rows are stored
        return await self._second_thought(outcome) if isinstance(outcome, RowsRefused | SetupError) else outcome

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row` under the key of a late row."""
        return self._rows.rekeyed(row, lateness)

    async def check(self) -> SetupError | None:
        """Check the live table; return the obstacle to appending, or None."""
        return await asyncio.shield(self._begin_to_look())

    async def close(self) -> None:
        """Close the connections; what is in flight is Uncertain."""
        if self._looking is not None:
            self._looking.cancel()
        await self._connections.close()

    def _begin_to_look(self) -> "asyncio.Task[SetupError | None]":
        """Return the running check, or start one; concurrent callers share it."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_once())
        return self._looking

    async def _look_once(self) -> SetupError | None:
        self._found = await self._look()
        self._found_at_us = self._clock.elapsed_us()
        return self._found

    async def _obstacle(self) -> SetupError | None:
        """Return the obstacle from a check of the table that is at most a few seconds old, or None.

        A check that fails (by timeout or quota) is no obstacle: rows go to another address.
        """
        now_us = self._clock.elapsed_us()
        if self._found_at_us is None or now_us - self._found_at_us > _CHECK_HOLDS_US:
            await first_within(self._clock, _LOOK_WAIT_S, self._begin_to_look())
        return self._found if _stands_in_the_way(self._found) else None

    async def _second_thought(self, outcome: RowsRefused | SetupError) -> Outcome:
        """Check the table before blaming the rows or the set-up."""
        obstacle = await self._obstacle()
        if obstacle is not None or isinstance(outcome, SetupError):
            # To an old connection, a recreated table can be missing for a long time, and a changed table can look
            # unchanged. A fresh connection sees the current one.
            self._connections.retire()
        if obstacle is not None:
            return obstacle
        if isinstance(outcome, SetupError) and outcome.state is SinkState.NOT_FOUND and self._found is None:
            return Uncertain(f"the table exists, but a connection did not find it: {outcome.detail}")
        return outcome

    def _open_connection(self) -> Connection:
        channel = self._access.channel(self._channel_options)
        return Connection(channel, self._stream, self._rows.descriptor, self._trace_id)


def _stands_in_the_way(found: SetupError | None) -> bool:
    return found is not None and found.state not in _LOOKING_FAILED
