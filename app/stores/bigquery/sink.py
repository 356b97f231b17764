"""BigQuery behind the Appender seam: the default stream of a table, through the Storage Write API.

Rows are durable and readable once acknowledged, at least once
(https://cloud.google.com/bigquery/docs/write-api#default_stream). If any row of a request is bad, nothing is stored.
This module combines the parts: `proto_rows` encodes, `connection` is one stream, `connections` lends them, and
`append_responses` interprets an answer. `retry_policy` says what the TableWriter does after each outcome.
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import first_within
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.stores.bigquery.client import AccessError, BigQueryClients
from app.stores.bigquery.connection import Connection, channel_options
from app.stores.bigquery.connections import MAX_REQUESTS, Connections, ConnectionsClosedError
from app.stores.bigquery.proto_rows import PendingValues, ProtoRowEncoder, protobuf_descriptor
from app.stores.bigquery.table_check import TableMonitor
from app.stores.bigquery.watermarks.announcing import AnnouncedStamp, Announcing
from app.stores.sink import (
    ColumnsPending,
    Fence,
    Outcome,
    RowEncode,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TableCheck,
    Uncertain,
)
from app.stores.stamping import AttemptStamp

_log = logging.getLogger("sluice.storage_write")
_LOOKING_FAILED = {SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED}
_LOOK_WAIT_S = 3.0  # by then BigQuery has nearly always answered, and the append has time left
_UNKNOWN = re.compile(r"no such field: (\w+)", re.IGNORECASE)
_CHECK_HOLDS_US = 10 * MICROSECONDS  # while rows are bisected, the table is not checked for each half


class StorageWriteAppender:
    """The Appender of one table in BigQuery.

    `monitor` checks the live table, `fence` says when rows are late, and `trace_id` identifies this service and
    instance to BigQuery's support. `announcing` announces what this instance stamps; None: readers count on the settle
    time alone.

    BigQuery refuses a writer schema with a field that the table lacks. So connections leave out the columns that the
    monitor finds missing. Rows that use one are held, or have its value moved into their rest if it is promoted.
    BigQuery's append servers learn of a new column minutes after its REST API shows it: a column that they refuse is
    *unready*, and is left out until an append with it succeeds.
    """

    target_in_flight = MAX_REQUESTS

    def __init__(  # noqa: PLR0913 - what one table's appender needs
        self,
        access: BigQueryClients,
        table: Table,
        clock: Clock,
        *,
        max_connections: int,
        monitor: TableMonitor,
        fence: Fence,
        trace_id: str = "sluice:local",
        announcing: Announcing | None = None,
    ) -> None:
        self.fence = fence
        self.max_in_flight = max_connections * MAX_REQUESTS
        self._access, self._clock, self._monitor, self._trace_id = access, clock, monitor, trace_id
        self._table, self._announcing = table, announcing
        self._stream = f"{access.place.table_path(table.name)}/streams/_default"
        self._rows = ProtoRowEncoder(table)
        self._pending_values = PendingValues(table, self._rows.message)
        self._channel_options = channel_options(fence.margin_us / MICROSECONDS)
        self._connections = Connections(self._open_connection, clock, max_connections)
        self._lacking: frozenset[str] = frozenset()
        """What new connections leave out."""
        self._last_lacking = self._unready = self._lacking
        self._tries_unready = False
        self._descriptor = self._rows.descriptor

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return the encoder that turns the records of a message into protobuf rows without `ingest_time`."""
        return self._rows.encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one request, and return the outcome."""
        if _stands_in_the_way(self._monitor.result) and (obstacle := await self._obstacle()) is not None:
            return obstacle
        if self._announcing is not None and (unannounced := await self._announcing.obstacle()) is not None:
            return unannounced
        self._adapt()
        begun_us = self._clock.elapsed_us()
        stamp, outcome = self._stamp(), None
        try:
            if not self._access.is_loaded:
                await run_in_daemon_thread(self._access.load, "credentials")
            async with self._connections.lend(sum(map(len, rows))) as connection:
                outcome = await self._send(connection, rows, stamp)
        except asyncio.CancelledError as cancelled:
            raise stamp.cancelled(cancelled) from None
        except AccessError as error:
            return SetupError(SinkState.PERMISSION_DENIED, str(error))
        except ConnectionsClosedError:
            return Uncertain("the service is stopping")
        finally:
            if self._announcing is not None:
                self._announcing.ended(stamp, outcome)
        outcome = stamp.judge(outcome)
        if connection.updated_schema:
            connection.updated_schema = False
            self._monitor.begin()  # so the next append knows whether the table still fits; these rows are stored
        if not isinstance(outcome, RowsRefused | SetupError):
            return outcome
        return await self._second_thought(outcome, connection.lacking, begun_us)

    def _stamp(self) -> AttemptStamp:
        if self._announcing is None:
            return AttemptStamp(self._clock, self.fence, self._rows.stamp)
        return AnnouncedStamp(self._clock, self.fence, self._rows.stamp, self._announcing)

    async def _send(self, connection: Connection, rows: Sequence[bytes], stamp: AttemptStamp) -> Outcome:
        lacking = connection.lacking
        if lacking and (used := self._rows.using(rows, lacking)):
            if self._table.may_omit:
                rows = [self._rows.without(row, lacking) for row in rows]
            else:
                rows, held = self._without_pending(rows, used, lacking)
                if held:
                    return RowsHeld(held, _lack(lacking))
        outcome = await connection.append(rows, stamp)
        if self._unready and isinstance(outcome, Stored) and not self._unready & lacking:
            self._unready = frozenset()
        return outcome

    def _without_pending(
        self, rows: Sequence[bytes], used: frozenset[int], lacking: frozenset[str]
    ) -> tuple[Sequence[bytes], frozenset[int]]:
        """Return the rows with their values for promoted columns moved, and the positions of those that must wait."""
        movable = self._pending_values.movable(lacking)
        held = self._rows.using(rows, lacking - movable)
        moved = {position: self._pending_values.moved(rows[position], movable) for position in used - held}
        held |= {position for position, row in moved.items() if row is None}
        return [moved.get(position) or row for position, row in enumerate(rows)], held

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row` under the key of a late row."""
        return self._rows.rekeyed(row, lateness)

    async def check(self) -> TableCheck:
        """Check the live table; return the obstacle to appending, the lack of columns, or None."""
        table_check = await asyncio.shield(self._monitor.begin())
        if self._announcing is not None and not isinstance(table_check, SetupError):
            unannounced = await self._announcing.obstacle()
            if isinstance(unannounced, SetupError):
                return unannounced
        if table_check is None and self._unready:
            self._tries_unready = True  # with the next append
            return ColumnsPending(self._unready, f"{_lack(self._unready)}, as far as BigQuery's append servers know")
        return table_check

    async def close(self) -> None:
        """Close the connections; what is in flight is Uncertain."""
        self._monitor.close()
        await self._connections.close()

    def _adapt(self) -> None:
        """Leave out of new connections what the table lacks now; a changed schema needs a fresh connection."""
        lacking = self._monitor.missing
        if self._unready and not self._tries_unready:
            lacking |= self._unready
        if lacking != self._lacking:
            _log.info("%s", _lack(lacking) if lacking else "the table has every declared column")
            self._lacking, self._last_lacking = lacking, lacking or self._last_lacking
            self._descriptor = protobuf_descriptor(self._table, lacking)
            self._connections.retire()

    async def _obstacle(self) -> SetupError | None:
        """Return the obstacle from a check of the table that is at most a few seconds old, or None.

        A check that fails (by timeout or quota) is no obstacle: rows go to another address.
        """
        ended_us = self._monitor.ended_us
        if ended_us is None or self._clock.elapsed_us() - ended_us > _CHECK_HOLDS_US:
            await first_within(self._clock, _LOOK_WAIT_S, self._monitor.begin())
        table_check = self._monitor.result
        return table_check if isinstance(table_check, SetupError) and _stands_in_the_way(table_check) else None

    async def _second_thought(
        self, outcome: RowsRefused | SetupError, lacking: frozenset[str], begun_us: int
    ) -> Outcome:
        """Check the table before blaming the rows or the set-up.

        `lacking` is what the connection left out, and `begun_us` when the append began. A row that is refused for a
        column that the table lacks is not at fault, whether the store names the schema or the row.
        """
        unknown = self._unknown_columns(outcome) - lacking
        is_mismatch = bool(unknown) or (isinstance(outcome, SetupError) and outcome.state is SinkState.SCHEMA_MISMATCH)
        if is_mismatch:  # a check from before the append may not have seen the change
            await self._monitor.since(begun_us, _LOOK_WAIT_S)
        obstacle = await self._obstacle()
        if obstacle is not None or isinstance(outcome, SetupError):
            # To an old connection, a recreated table can be missing for a long time, and a changed table can look
            # unchanged. A fresh connection sees the current one.
            self._connections.retire()
        if obstacle is not None:
            return obstacle
        if not self._monitor.has_answer and isinstance(outcome, RowsRefused):
            return Uncertain(f"rows are not rejected before the table was checked: {outcome.detail}")
        if isinstance(outcome, RowsRefused) and self._monitor.missing - lacking:
            is_mismatch = True
        is_checked = not isinstance(self._monitor.result, SetupError)
        if (unknown or (is_mismatch and is_checked)) and self._leaves_more_out(lacking, unknown):
            return Uncertain("the table has fewer columns than the connection's schema; sending again without them")
        is_not_found = isinstance(outcome, SetupError) and outcome.state is SinkState.NOT_FOUND
        if is_not_found and not isinstance(self._monitor.result, SetupError):
            return Uncertain(f"the table exists, but a connection did not find it: {outcome.detail}")
        return outcome

    def _leaves_more_out(self, lacking: frozenset[str], unknown: frozenset[str]) -> bool:
        """Return whether the next connection leaves out more than one that left out `lacking`, and was refused.

        `unknown` are the columns that the refusal names; empty if it names none.
        """
        if not self._monitor.missing - lacking:
            # The REST API shows columns that the append servers do not know yet.
            self._unready = (unknown | self._unready if unknown else self._last_lacking) - self._monitor.missing
            self._tries_unready = False
        return bool((self._monitor.missing | self._unready) - lacking)

    def _unknown_columns(self, outcome: RowsRefused | SetupError) -> frozenset[str]:
        """Return the declared columns that the store does not know, according to a refusal that names rows."""
        if not isinstance(outcome, RowsRefused):
            return frozenset()
        named = {match[1].casefold() for error in outcome.errors.values() if (match := _UNKNOWN.match(error.detail))}
        return frozenset(column.name for column in self._table.columns if column.name.casefold() in named)

    def _open_connection(self) -> Connection:
        channel = self._access.channel(self._channel_options)
        return Connection(channel, self._stream, self._descriptor, self._trace_id, lacking=self._lacking)


def _lack(paths: frozenset[str]) -> str:
    return f"the table lacks the columns {', '.join(sorted(paths))}"


def _stands_in_the_way(table_check: TableCheck) -> bool:
    return isinstance(table_check, SetupError) and table_check.state not in _LOOKING_FAILED
