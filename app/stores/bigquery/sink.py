"""BigQuery behind the Appender seam: the default stream of a table, through the Storage Write API.

Rows are durable and readable once acknowledged, at least once
(https://cloud.google.com/bigquery/docs/write-api#default_stream). If any row of a request is bad, nothing is stored.
This module combines the parts: `proto_rows` encodes, `connection` has the streams and lends them, and
`failures` interprets an answer. `retry_policy` says what the TableWriter does after each outcome.
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
from app.stores.bigquery.announcing import Announcing
from app.stores.bigquery.client import AccessError, BigQueryClients
from app.stores.bigquery.connection import (
    MAX_REQUESTS,
    Connection,
    Connections,
    ConnectionsClosedError,
    channel_options,
)
from app.stores.bigquery.proto_rows import ProtoRowEncoder, protobuf_descriptor
from app.stores.bigquery.table_check import TableMonitor
from app.stores.sink import (
    ColumnsPending,
    LatenessLimits,
    Outcome,
    RowEncode,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
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

    `monitor` checks the live table, `lateness_limits` say when rows are late, and `trace_id` identifies this service
    and instance to BigQuery's support. `announcing` announces what this instance stamps; None: readers count on the
    settle time alone.

    BigQuery refuses a writer schema with a field that the table lacks. So connections leave out the columns that the
    monitor finds missing. Rows that use one are held, or have its value moved into their rest if it is promoted.
    BigQuery's append servers learn of a new column minutes after its REST API shows it: a column that they refuse is
    left out until the next check of the table.
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
        lateness_limits: LatenessLimits,
        trace_id: str = "sluice:local",
        announcing: Announcing | None = None,
    ) -> None:
        self.lateness_limits = lateness_limits
        self.max_in_flight = max_connections * MAX_REQUESTS
        self._access, self._clock, self._monitor, self._trace_id = access, clock, monitor, trace_id
        self._table, self._announcing = table, announcing
        self._stream = f"{access.place.table_path(table.name)}/streams/_default"
        self._rows = ProtoRowEncoder(table)
        self._channel_options = channel_options(lateness_limits.margin_us / MICROSECONDS)
        self._connections = Connections(self._open_connection, clock, max_connections)
        self._lacking: frozenset[str] = frozenset()
        """What new connections leave out."""
        self._last_lacking = self._unknown = self._lacking
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
        announce = None if self._announcing is None else self._announcing.stamp
        stamp, outcome = AttemptStamp(self._clock, self.lateness_limits, self._rows.stamp, announce), None
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
        if not isinstance(outcome, RowsRefused | SetupError):
            return outcome
        return await self._second_thought(outcome, connection.lacking, begun_us)

    async def _send(self, connection: Connection, rows: Sequence[bytes], stamp: AttemptStamp) -> Outcome:
        if connection.lacking:
            fitted = [self._rows.fitted(row, connection.lacking) for row in rows]
            held = frozenset(position for position, row in enumerate(fitted) if row is None)
            if held:
                return RowsHeld(held, _lack(connection.lacking))
            rows = [row for row in fitted if row is not None]
        return await connection.append(rows, stamp)

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
        unknown, self._unknown = self._unknown, frozenset()  # the next append tries with them
        if table_check is None and unknown:
            return ColumnsPending(unknown, f"{_lack(unknown)}, as far as BigQuery's append servers know")
        return table_check

    async def close(self) -> None:
        """Close the connections; what is in flight is Uncertain."""
        self._monitor.close()
        await self._connections.close()

    def _adapt(self) -> None:
        """Leave out of new connections what the table lacks now; a changed schema needs a fresh connection."""
        lacking = self._monitor.missing | self._unknown
        if lacking != self._lacking:
            _log.info("%s", _lack(lacking) if lacking else "the table has every declared column")
            self._lacking, self._last_lacking = lacking, lacking or self._last_lacking
            self._descriptor = protobuf_descriptor(self._table, lacking)
            self._connections.retire()

    async def _obstacle(self) -> SetupError | None:
        """Return the obstacle from a check of the table that is at most a few seconds old, or None.

        A check that fails (by timeout or quota) is no obstacle: rows go to another address.
        """
        begun_us = self._monitor.begun_us
        if begun_us is None or self._clock.elapsed_us() - begun_us > _CHECK_HOLDS_US:
            await first_within(self._clock, _LOOK_WAIT_S, self._monitor.begin())
        table_check = self._monitor.result
        return table_check if isinstance(table_check, SetupError) and _stands_in_the_way(table_check) else None

    async def _second_thought(
        self, outcome: RowsRefused | SetupError, lacking: frozenset[str], begun_us: int
    ) -> Outcome:
        """Check the table before the rows or the set-up are named as the cause.

        `lacking` is what the connection left out, and `begun_us` when the append began. A row that is refused for a
        column that the table lacks is not at fault, whether the store names the schema or the row.
        """
        unknown, state = self._unknown_columns(outcome) - lacking, getattr(outcome, "state", None)
        is_mismatch = bool(unknown) or state is SinkState.SCHEMA_MISMATCH
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
        is_checked, missing = not isinstance(self._monitor.result, SetupError), self._monitor.missing
        if is_checked and state is SinkState.NOT_FOUND:
            return Uncertain(f"the table exists, but a connection did not find it: {outcome.detail}")
        if missing - lacking and (isinstance(outcome, RowsRefused) or (is_mismatch and is_checked)):
            return _sent_again()
        if unknown or (is_mismatch and is_checked):  # the REST API shows columns that the append servers do not know
            self._unknown = (unknown | self._unknown if unknown else self._last_lacking) - missing
            if self._unknown - lacking:
                return _sent_again()
        return outcome

    def _unknown_columns(self, outcome: RowsRefused | SetupError) -> frozenset[str]:
        """Return the declared columns that the store does not know, according to a refusal that names rows."""
        if not isinstance(outcome, RowsRefused):
            return frozenset()
        named = {match[1].casefold() for error in outcome.errors.values() if (match := _UNKNOWN.match(error.detail))}
        return frozenset(column.name for column in self._table.columns if column.name.casefold() in named)

    def _open_connection(self) -> Connection:
        channel = self._access.channel(self._channel_options)
        return Connection(channel, self._stream, self._descriptor, self._trace_id, lacking=self._lacking)


def _sent_again() -> Uncertain:
    return Uncertain("the table has fewer columns than the connection's schema; sending again without them")


def _lack(names: frozenset[str]) -> str:
    return f"the table lacks the columns {', '.join(sorted(names))}"


def _stands_in_the_way(table_check: TableCheck) -> bool:
    return isinstance(table_check, SetupError) and table_check.state not in _LOOKING_FAILED
