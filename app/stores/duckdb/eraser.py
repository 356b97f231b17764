"""Erasure and retention in the embedded store: deletes run between appends, in pieces too small to delay them."""

import logging
from collections.abc import Sequence
from functools import partial

import duckdb

from app.runtime.clock import Clock
from app.runtime.instants import DAY_US, MIN_US, TimeRange, clamp
from app.schema.table import Table
from app.stores.duckdb.file import STATE
from app.stores.duckdb.recent_keys import remember
from app.stores.duckdb.source import bound, to_duckdb
from app.stores.duckdb.store import EmbeddedStore
from app.stores.erasures import ErasedRecord, record_erasure
from app.stores.query import Deletion, Rows
from app.stores.source import QueryError
from app.stores.sql.statement import Statement

_GENERATION = "erasures"
_EVERY_S = 3_600.0
_PIECE_ROWS = 10_000  # deleted in 5 to 20 ms (docs/retention.md)
_BREATH_S = 0.05  # between two pieces, so that appends can run
_log = logging.getLogger("sluice.store")


class EmbeddedEraser:
    """The Eraser of an EmbeddedStore: the number of erasures is stored in the file."""

    def __init__(self, store: EmbeddedStore, erasures: Table) -> None:
        self._store, self._appender = store, store.appender(erasures)
        self._generation = store.read_once(_generation)

    @property
    def generation(self) -> int:
        """The number of erasures so far."""
        return self._generation

    async def delete(self, query: Deletion) -> int:
        """Delete rows as one transaction; return how many were removed."""
        return await delete_rows(self._store, query)

    async def advance(self, erased: ErasedRecord) -> None:
        """Record an erasure in the file, count it, and take the erased rows out of the write-ahead log.

        Their bytes stay in the file, where no query finds them (docs/retention.md).
        """
        await record_erasure(self._appender, erased)
        self._generation = await self._store.write(_advanced)
        await self._store.checkpoint()


async def delete_rows(store: EmbeddedStore, query: Deletion) -> int:
    """Delete rows as one transaction, and remember the recent ones; return how many. If cancelled, it may still happen.

    Raises:
        StoreUnavailableError: nothing was deleted, or it is unknown whether anything was.
    """
    recent = Rows(
        table=query.table,
        within=TimeRange(max(query.first_us, store.lookback_from_us()), clamp(query.last_us + 1)),
        conditions=query.conditions,
        lookback_us=0,
        columns=("ingest_time", "delivery_key"),
    )
    return await store.write(partial(_deleted, query.table, store.statement(recent), store.statement(query)))


def _deleted(table: str, recent: Statement, statement: Statement, connection: duckdb.DuckDBPyConnection) -> int:
    remember(connection, table, to_duckdb(recent.sql), bound(recent))
    row = connection.execute(to_duckdb(statement.sql), bound(statement)).fetchone()
    return int(row[0]) if row else 0


def _generation(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute(f"SELECT max(number) FROM {STATE} WHERE name = ?", [_GENERATION]).fetchone()  # noqa: S608 - a constant
    return 0 if row is None or row[0] is None else int(row[0])


def _advanced(connection: duckdb.DuckDBPyConnection) -> int:
    number = _generation(connection) + 1
    connection.execute(f"DELETE FROM {STATE} WHERE name = ?", [_GENERATION])  # noqa: S608 - as above
    connection.execute(f"INSERT INTO {STATE} VALUES (?, ?, NULL)", [_GENERATION, number])  # noqa: S608 - as above
    return number


class Retention:
    """Deletes rows older than their table's retention, by `ingest_time`.

    A table without a retention of its own keeps them for `days` days, that of the rejects for REJECT_DAYS at most.
    """

    def __init__(self, store: EmbeddedStore, tables: Sequence[Table], clock: Clock, days: int) -> None:
        self._store, self._tables, self._clock, self._days = store, tables, clock, days

    async def run(self) -> None:
        """Sweep now and every hour, until cancelled."""
        while True:
            try:
                await self.sweep()
            except QueryError as error:
                _log.warning("old rows could not be deleted; the next attempt is in an hour: %s", error)
            await self._clock.sleep(_EVERY_S)

    async def sweep(self) -> int:
        """Delete the expired rows; return their number.

        Raises:
            QueryError: the store did not answer.
        """
        total = 0
        for table in self._tables:
            cutoff_us, count = clamp(self._clock.now_us() - table.kept_days(self._days) * DAY_US), 0
            while (edge_us := await self._edge_us(table, cutoff_us)) is not None:
                expired = Deletion(table=table.name, first_us=MIN_US, last_us=edge_us, conditions=())
                count += await delete_rows(self._store, expired)
                await self._clock.sleep(_BREATH_S)
            if count:
                _log.info("table %s: deleted %d rows older than the retention", table.name, count)
            total += count
        if total:
            await self._store.checkpoint()  # so that their space can be reused
        return total

    async def _edge_us(self, table: Table, cutoff_us: int) -> int | None:
        """Return the newest stamp of the next piece, None if no row has expired. Runs concurrently with appends."""
        sql = f"""\
SELECT UNIX_MICROS(MAX(old.`ingest_time`)) AS `edge`
FROM (
SELECT `ingest_time` FROM `{table.name}` WHERE `ingest_time` < @cutoff_us ORDER BY `ingest_time` LIMIT @piece
) AS old
"""  # noqa: S608 - a table of the declaration
        statement = Statement(sql=sql, parameters={"cutoff_us": cutoff_us, "piece": _PIECE_ROWS}, purpose="erase")
        edge: int | None = (await self._store.read(statement)).rows[0]["edge"]
        return edge
