"""DuckDB behind both seams, on one file: the store of laptops and tests.

An append is one transaction, so a batch is stored wholly or not at all, and durable (write-ahead log,
fsync) when `append` returns. Appends of one table go one at a time; queries run beside them, each on a
connection of its own. DuckDB blocks the thread that calls it, so calls run in threads, never on the loop.
"""

import asyncio
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from app.clock import Clock
from app.ingest.appender import Outcome, RowError, RowsRefused, SetupError, SinkState, Stored, Uncertain
from app.query.runner import Query, Scalar
from app.schema.columns import Mode
from app.schema.duckdb import duckdb_ddl, duckdb_insert, duckdb_type, quote
from app.schema.table import Table

_READERS = 3  # queries at once; more would only share the same two or four cores
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - TIMESTAMP columns are UTC without saying so


class StoreError(Exception):
    """The embedded store cannot be opened; the message says what to do."""


class EmbeddedStore:
    """The tables of one DuckDB file. It is an Appender per table (`appender`) and a QueryRunner."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        # Stamps that are not yet known to be durable, oldest first: a dict keeps the order they came in.
        self._in_flight_us: dict[str, dict[int, None]] = {table.name: {} for table in tables}
        # One writing thread: batches of two tables never wait for each other's locks, and stamps stay in order.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="duckdb-append")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="duckdb-query")
        self._cursors: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()
        for _ in range(_READERS):
            self._cursors.put(connection.cursor())

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
            connection.execute("LOAD icu; SET GLOBAL TimeZone = 'UTC'")
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
            if newest is not None and newest[0] is not None:
                clock.advance_to(newest[0])
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
        landed.add_done_callback(lambda _: self._in_flight_us[table].pop(stamp_us))
        try:
            return await asyncio.shield(landed)
        except asyncio.CancelledError:
            work.cancel()  # has no effect once the thread has begun
            raise

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

    async def rows(self, query: Query) -> list[dict[str, Any]]:
        """Return all rows of `query`, in its order."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._query, query)

    def _query(self, query: Query) -> list[dict[str, Any]]:
        parameters = {name: _bound(name, value) for name, value in query.parameters.items()}
        cursor = self._cursors.get()
        try:
            cursor.execute(_to_duckdb(query.sql), parameters)
            columns = [(name, _converter(type_)) for name, type_, *_ in cursor.description or ()]
            fetched = cursor.fetchall()
        finally:
            self._cursors.put(cursor)
        names = [name for name, _ in columns]
        converters = [(name, convert) for name, convert in columns if convert is not None]
        rows = [dict(zip(names, values, strict=True)) for values in fetched]
        for row in rows:
            for name, convert in converters:
                if (value := row[name]) is not None:
                    row[name] = convert(value)
        return rows

    def horizon_us(self, table: str) -> int:
        """Return the oldest stamp in flight, or else now: the store's settle time is 0."""
        return next(iter(self._in_flight_us[table]), 0) or self._clock.now_us()

    def close(self) -> None:
        """Wait for what runs and close the file."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._connection.close()


class EmbeddedAppender:
    """The Appender of one table of an EmbeddedStore."""

    concurrency = 1  # a second batch would only wait for the same thread

    def __init__(self, store: EmbeddedStore, table: Table) -> None:
        self._store, self._table, self._insert_sql = store, table.name, duckdb_insert(table)

    def encode(self, record: msgspec.Struct, envelope: Mapping[str, Any]) -> bytes:
        """Return the row as a JSON object: the record's members, then the envelope's."""
        return _json.encode(record)[:-1] + b"," + _json.encode(envelope)[1:]

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        """Stamp `rows`, append them as one, and say what became of them."""
        return await self._store.append(self._table, self._insert_sql, rows)


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


@lru_cache(256)
def _to_duckdb(sql: str) -> str:
    """Render a query of BigQuery's dialect for DuckDB."""
    from sqlglot import transpile  # noqa: PLC0415 - a third of a second that start-up need not wait for

    return transpile(sql, read="bigquery", write="duckdb")[0]


def _bound(name: str, value: Scalar) -> Scalar | datetime:
    if name.endswith("_us") and isinstance(value, int):
        return _EPOCH + timedelta(microseconds=value)
    return value


def _converter(type_: Any) -> Callable[[Any], Any] | None:
    """Return what makes of a value of DuckDB's `type_` the one the QueryRunner promises; None: nothing to do."""
    match str(type_), type_.id:
        case "JSON", _:
            return _raw_json
        case _, "timestamp":
            return _in_utc
        case _, "list":
            item = _converter(type_.children[0][1])
            return item and partial(_convert_list, item)
        case _, "struct":
            fields = [(name, convert) for name, child in type_.children if (convert := _converter(child)) is not None]
            return partial(_convert_struct, fields) if fields else None
        case _:
            return None


def _raw_json(value: str) -> msgspec.Raw:
    return msgspec.Raw(value.encode())


def _in_utc(value: datetime | str) -> datetime | str:
    # What Python has no datetime for, DuckDB hands out as text; one such row must not fail its page.
    return value if isinstance(value, str) else value.replace(tzinfo=UTC)


def _convert_list(convert: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _convert_struct(fields: list[tuple[str, Callable[[Any], Any]]], value: dict[str, Any]) -> dict[str, Any]:
    for name, convert in fields:
        if value[name] is not None:
            value[name] = convert(value[name])
    return value
