"""DuckDB behind both seams, on one file: the store of laptops and tests.

An append is one transaction, so a batch is stored wholly or not at all, and durable (write-ahead log,
fsync) when `append` returns. Appends of one table go one at a time; queries run beside them, each on a
connection of its own. DuckDB blocks the thread that calls it, so calls run in threads, never on the loop.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from app.backend import StoreError
from app.clock import Clock
from app.embedded_queries import Queries
from app.ingest.appender import Outcome, RowEncode, RowError, RowsRefused, SetupError, SinkState, Stored, Uncertain
from app.query.instants import DAY_US, SECOND_US
from app.query.runner import Answer, Query
from app.schema.columns import Mode
from app.schema.duckdb import duckdb_ddl, duckdb_insert, duckdb_type, quote
from app.schema.table import Table


class EmbeddedStore:
    """The tables of one DuckDB file. It is an Appender per table (`appender`) and a QueryRunner."""

    partition_us = 1
    # Where rows lie dense, a longer slice sorts rows that the page never shows; and a query costs next to nothing.
    first_slice_us = 10 * SECOND_US
    first_look_up_us = 7 * DAY_US  # a scan of one column, which costs hardly more than an hour's
    export_rows = 50_000
    poll_s = 0.25
    open_ttl_s = 1.0  # as long as nothing is stored: see `version`

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        # Stamps that are not yet known to be durable, oldest first: a dict keeps the order they came in.
        self._in_flight_us: dict[str, dict[int, None]] = {table.name: {} for table in tables}
        self._versions = dict.fromkeys(self._in_flight_us, 0)
        # One writing thread: batches of two tables never wait for each other's locks, and stamps stay in order.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="duckdb-append")
        self._queries = Queries(connection)

    @classmethod
    def open(cls, path: str, tables: Sequence[Table], clock: Clock) -> "EmbeddedStore":
        """Open the file at `path` (":memory:" for none), making what is missing, and wind the clock past its rows.

        Raises:
            StoreError: the file is in use, is not a DuckDB file, or its tables are not the declared ones.
        """
        try:
            if path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            connection = duckdb.connect(path)
            # Its allocator gives freed memory back by itself only while it works: after a burst it would keep hundreds
            # of MiB for as long as it is quiet (bench/README.md, "Memory").
            connection.execute("LOAD icu; SET GLOBAL TimeZone = 'UTC'; SET allocator_background_threads = true")
        except (duckdb.Error, OSError) as error:
            raise StoreError(f"cannot open {path}: {_first_line(error)}") from error
        for table in tables:
            connection.execute(duckdb_ddl(table))
            problem = _difference(connection, table)
            if problem:
                connection.close()
                raise StoreError(
                    f"the table {table.name} in {path} does not fit the record type: {problem}. "
                    "Choose another SLUICE_DATA_PATH, or move the file away"
                )
            newest = connection.execute(f"SELECT epoch_us(max(ingest_time)) FROM {quote(table.name)}").fetchone()  # noqa: S608 - a quoted name
            clock.advance_to((newest and newest[0]) or 0)
        return cls(connection, tables, clock)

    def appender(self, table: Table) -> "EmbeddedAppender":
        """Return the Appender of `table`."""
        return EmbeddedAppender(self, table)

    async def append(self, table: str, insert_sql: str, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows` and insert them as one transaction; a caller that gives up before it began stops it."""
        stamp_us = self._clock.now_us()
        # The stamp counts as in flight until the thread is done with it, even when the caller has given up.
        self._in_flight_us[table][stamp_us] = None
        work = self._writer.submit(self._insert, insert_sql, stamp_us, rows)
        landed = asyncio.wrap_future(work)
        landed.add_done_callback(lambda _: self._landed(table, stamp_us))
        try:
            return await asyncio.shield(landed)
        except asyncio.CancelledError:
            work.cancel()  # has no effect once the thread has begun
            raise

    def _landed(self, table: str, stamp_us: int) -> None:
        del self._in_flight_us[table][stamp_us]
        self._versions[table] += 1

    def _insert(self, insert_sql: str, stamp_us: int, rows: Sequence[bytes]) -> Outcome:
        parameters = {"ingest_us": stamp_us, "rows": "[" + b",".join(rows).decode() + "]"}
        try:
            self._connection.execute(insert_sql, parameters)
        except (duckdb.DataError, duckdb.InvalidInputException, duckdb.ConstraintException) as error:
            return RowsRefused({}) if len(rows) > 1 else _refused(error)
        except duckdb.CatalogException as error:
            return SetupError(SinkState.NOT_FOUND, _first_line(error))
        except duckdb.Error as error:  # a full disk, an I/O error: the transaction was rolled back
            return Uncertain(_first_line(error))
        return Stored()

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        return await self._queries.rows(query)

    async def estimate_bytes(self, query: Query) -> int | None:
        """Return None: DuckDB does not say."""
        return None

    def arrow(self, query: Query) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream."""
        return self._queries.arrow(query)

    def horizon_us(self, table: str) -> int:
        """Return the oldest stamp in flight, or else now: the store's settle time is 0."""
        return next(iter(self._in_flight_us[table]), 0) or self._clock.now_us()

    def version(self, table: str) -> int:
        """Return how many appends to `table` have ended: what they stored can be read from then on."""
        return self._versions[table]

    def close(self) -> None:
        """Wait for what runs and close the file."""
        self._writer.shutdown()
        self._queries.close()
        self._connection.close()


class EmbeddedAppender:
    """The Appender of one table of an EmbeddedStore."""

    concurrency = eager = 1  # a second batch would only wait for the same thread
    fence = None  # no row is late: the horizon waits for the oldest stamp in flight, and stops when the process does

    def __init__(self, store: EmbeddedStore, table: Table) -> None:
        self._store, self._table, self._insert_sql = store, table.name, duckdb_insert(table)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return what makes JSON objects: the record's members, its own of the envelope, then what it shares."""
        shared = b"," + _json.encode(envelope)[1:]

        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            own = _json.encode({"message_index": index, "delivery_key": delivery_key})
            return _json.encode(record)[:-1] + b"," + own[1:-1] + shared

        return encode

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one, and say what became of them."""
        return await self._store.append(self._table, self._insert_sql, rows)

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return `row`: it is never asked for another key, as no row is late."""
        return row

    async def check(self) -> SetupError | None:
        """Find nothing: the tables were compared with the declaration when the file was opened."""
        return None

    async def close(self) -> None:
        """Do nothing: the store is closed as a whole."""


_json = msgspec.json.Encoder()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _refused(error: Exception) -> Outcome:
    return RowsRefused({0: RowError(_first_line(error))})


def _difference(connection: duckdb.DuckDBPyConnection, table: Table) -> str | None:
    """Return how the file's table differs from the declared one, or None."""
    described = connection.execute(f"DESCRIBE {quote(table.name)}").fetchall()
    found = {name: (type_, "NULLABLE" if null == "YES" else "NOT NULL") for name, type_, null, *_ in described}
    expected = {
        column.name: (
            str(connection.type(duckdb_type(column))),
            "NOT NULL" if column.mode is Mode.REQUIRED else "NULLABLE",
        )
        for column in table.columns
    }
    differences = [f"it has no column {name}" for name in expected if name not in found]
    differences += [f"its column {name} is not declared" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        differences += [
            f"its column {name} is {there}, declared {declared}"
            for there, declared in zip(found[name], expected[name], strict=True)
            if there != declared
        ]
    return ", ".join(sorted(differences)) or None
