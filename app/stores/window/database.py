"""The rows of the window in an in-memory DuckDB: loaded from Arrow without copies, and deleted. It blocks.

A copy is a row whose key another row has within the look-back before it. The keys of the rows read last are kept as
128 bits of their MD5 hash: among a million keys, two are taken for one with a chance of 1e-27.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import msgspec

from app.runtime.instants import TimeRange
from app.schema.table import Table
from app.stores.duckdb.loading import columns_of_arrow, load
from app.stores.duckdb.source import Queries
from app.stores.duckdb.table_layout import duckdb_type, quote
from app.stores.query import IS_COPY, Originals
from app.stores.source import END_OF_STREAM
from app.stores.sql.statement import Statement, render

KEY_BYTES = 24
_QUERY_BYTES = 256 * 1024**2  # for what queries sort and group
_SET_UP = """\
LOAD icu;
SET GLOBAL TimeZone = 'UTC';
SET GLOBAL threads = 1;
SET GLOBAL temp_directory = '';
SET allocator_background_threads = true"""
_STAGE = "sluice_staged_keys"
_INSIDE = "ingest_time >= make_timestamp($from_us::BIGINT) AND ingest_time < make_timestamp($to_us::BIGINT)"
_STAMP_INSIDE = _INSIDE.replace("ingest_time", "stamp")


class Staged(msgspec.Struct, frozen=True):
    """How many rows are staged, the instants of the first and of the last, and whether these are all."""

    rows: int
    first_us: int
    last_us: int
    is_whole: bool


class Load:
    """Rows of a range of which nothing is loaded, in a transaction of their own: they count once `finish` commits it.

    The transaction begins with the first batch. Keys that were kept before that are known to it.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, table: Table) -> None:
        self._cursor, self._begun = cursor, False
        self._table, self._keys = quote(table.name), quote(keys_of(table.name))
        self._inserts = (
            f"INSERT INTO {_STAGE} SELECT md5_number(delivery_key), ingest_time, {IS_COPY} FROM _rows",
            f"INSERT INTO {self._table} SELECT {columns_of_arrow(table)} FROM _rows WHERE NOT {IS_COPY}",
        )
        self._cursor.execute(f"CREATE TEMP TABLE {_STAGE} (hash UHUGEINT, stamp TIMESTAMP, is_copy BOOLEAN)")

    def stage(self, schema: bytes, batch: bytes) -> int:
        """Add a batch of an Arrow IPC stream with `schema`; return how many rows it has.

        Raises:
            duckdb.Error, ValueError, RuntimeError: a column has a type that is not the declared one.
        """
        self._begin()
        return load(self._cursor, schema + batch + END_OF_STREAM, self._inserts)

    def staged(self, *, is_whole: bool) -> Staged:
        """Return what has been staged."""
        found = self._cursor.execute(
            f"SELECT count(*), epoch_us(min(stamp)), epoch_us(max(stamp)) FROM {_STAGE}"
        ).fetchone()
        rows, first_us, last_us = found or (0, None, None)
        return Staged(rows, first_us or 0, last_us or 0, is_whole)

    def finish(self, span: TimeRange, within: TimeRange, lookback_us: int, *, keeps_keys: bool) -> tuple[int, int]:
        """Commit the originals of the part `within` of a span, and its keys if they are to be kept.

        Return how many originals there are, and how many keys in all. Each key of the look-back must be kept, or the
        rows must have been marked with it.
        """
        self._begin()
        bounds = {"from_us": within.from_us, "to_us": within.to_us}
        for rest in (TimeRange(span.from_us, within.from_us), TimeRange(within.to_us, span.to_us)):
            if rest.length_us:
                outside = {"from_us": rest.from_us, "to_us": rest.to_us}
                self._cursor.execute(f"DELETE FROM {self._table} WHERE {_INSIDE}", outside)
        copies = f"""\
WITH loaded AS (
  SELECT rowid AS id, md5_number(delivery_key) AS hash, ingest_time AS stamp FROM {self._table} WHERE {_INSIDE}
), others AS (
  SELECT hash, stamp FROM {_STAGE} WHERE is_copy AND {_STAMP_INSIDE}
  UNION ALL SELECT hash, stamp FROM {self._keys} WHERE stamp < make_timestamp($from_us::BIGINT)
), compared AS (
  SELECT id, stamp, lag(stamp) OVER (PARTITION BY hash ORDER BY stamp, id NULLS LAST) AS earlier
  FROM (FROM loaded UNION ALL SELECT NULL, hash, stamp FROM others WHERE hash IN (SELECT hash FROM loaded))
)
SELECT id FROM compared WHERE id IS NOT NULL AND earlier >= stamp - to_microseconds($lookback_us::BIGINT)"""
        self._cursor.execute(
            f"DELETE FROM {self._table} WHERE rowid IN ({copies})", bounds | {"lookback_us": lookback_us}
        )
        counted = self._cursor.execute(f"SELECT count(*) FROM {self._table} WHERE {_INSIDE}", bounds).fetchone()
        if keeps_keys:
            self._cursor.execute(
                f"INSERT INTO {self._keys} SELECT hash, stamp FROM {_STAGE} WHERE {_STAMP_INSIDE}", bounds
            )
        keys = self._cursor.execute(f"SELECT count(*) FROM {self._keys}").fetchone()
        self._cursor.commit()
        self._begun = False
        return value_of(counted), value_of(keys)

    def close(self) -> None:
        """Undo what was not committed."""
        if self._begun:
            self._cursor.rollback()
        self._cursor.close()

    def _begin(self) -> None:
        if not self._begun:
            self._cursor.begin()
            self._begun = True


class Database:
    """The tables of a window of `max_bytes`: the thread of `writer` changes them, while `queries` read them."""

    def __init__(self, tables: Sequence[Table], max_bytes: int) -> None:
        self._connection = duckdb.connect()
        self._connection.execute(_SET_UP)
        self._connection.execute(f"SET GLOBAL memory_limit = '{max_bytes + _QUERY_BYTES}B'")
        self.tables, self.max_bytes = {table.name: table for table in tables}, max_bytes
        for table in tables:
            columns = ", ".join(f"{quote(each.name)} {duckdb_type(each)}" for each in table.columns)
            self._connection.execute(f"CREATE TABLE {quote(table.name)} ({columns})")
            self._connection.execute(f"CREATE TABLE {quote(keys_of(table.name))} (hash UHUGEINT, stamp TIMESTAMP)")
        self.queries = Queries(self._connection)
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="window")

    def load(self, table: str) -> Load:
        """Begin to load rows of a table."""
        return Load(self._connection.cursor(), self.tables[table])

    def delete(self, table: str, within: TimeRange) -> None:
        """Delete the rows of a range."""
        bounds = {"from_us": within.from_us, "to_us": within.to_us}
        self._connection.execute(f"DELETE FROM {quote(table)} WHERE {_INSIDE}", bounds)

    def delete_keys(self, table: str, before_us: int | None = None) -> None:
        """Delete the keys of a table, or those of rows before an instant."""
        only = "" if before_us is None else f" WHERE stamp < make_timestamp({before_us}::BIGINT)"
        self._connection.execute(f"DELETE FROM {quote(keys_of(table))}{only}")

    def clear(self) -> None:
        """Delete everything."""
        for name in self.tables:
            self._connection.execute(f"DELETE FROM {quote(name)}")
            self.delete_keys(name)

    def close(self) -> None:
        """Interrupt what reads, wait for what writes, and free the memory."""
        self.queries.close()
        self.writer.shutdown()
        self._connection.close()


def keys_of(table: str) -> str:
    """Return the name of the table of keys of the rows of `table`."""
    return f"{table} keys"


def statement_of(query: Originals) -> Statement:
    """Return the statement of a query of rows without copies, with promoted members as columns already."""
    return render(msgspec.structs.replace(query, lookback_us=0))  # type: ignore[arg-type] # of the same class


def value_of(row: tuple[Any, ...] | None) -> int:
    """Return the first value of a row."""
    return int(row[0]) if row else 0
