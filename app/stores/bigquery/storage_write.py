"""BigQuery behind the Appender seam: the default stream of a table, through the Storage Write API.

Rows are durable and readable once acknowledged, at least once
(https://cloud.google.com/bigquery/docs/write-api#default_stream). If any row of a request is bad, nothing is stored.
This module combines the parts: `proto_rows` encodes, `connections` chooses a connection, `connection` is one stream,
and `append_responses` interprets an answer. `retry_policy` says what the Writer does after each outcome.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import first_within
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.stores.bigquery.client import AccessError, BigQueryClients
from app.stores.bigquery.connection import Connection, channel_options
from app.stores.bigquery.connections import MAX_REQUESTS, Connections, ConnectionsClosedError
from app.stores.bigquery.proto_rows import RowEncoder
from app.stores.fence import Fence
from app.stores.sink import Outcome, RowEncode, RowsRefused, SetupError, SinkState, Uncertain
from app.stores.stamping import AttemptStamp

Check = Callable[[], Awaitable[SetupError | None]]
_LOOKING_FAILED = {SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED}
_LOOK_WAIT_S = 3.0  # by then BigQuery has nearly always answered, and the append has time left
_CHECK_HOLDS_US = 10 * MICROSECONDS  # while rows are bisected, the table is not checked for each half


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
        self._rows = RowEncoder(table)
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
