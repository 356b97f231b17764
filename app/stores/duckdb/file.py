"""Open the file of the embedded store, and examine its disk.

Opening creates the tables, adds the columns that they lack, refuses any other difference, and advances the clock past
their rows.
"""

import logging
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec

from app.runtime.clock import Clock
from app.runtime.instants import MINUTE_US
from app.schema.table import REJECTS, Table
from app.stores.backend import MARKS, undeclared_table
from app.stores.duckdb.recent_keys import RECENT_KEYS_DDL
from app.stores.duckdb.table_layout import (
    INTERNAL,
    FileColumn,
    Fit,
    duckdb_ddl,
    file_column,
    fit,
    hash_column,
    hash_sql,
    quote,
)
from app.stores.erasures import ERASURES
from app.stores.sink import StoreError
from app.telemetry.redaction import first_line

STATE = "sluice_state"
"""The service's own table: the number of erasures, and the row that a probe of the disk writes and removes."""
# Without background threads, DuckDB's allocator returns freed memory only while it is in use: after a burst it would
# keep hundreds of MiB as long as the store is idle.
# A checkpoint would also merge row groups, reading and rewriting all their rows: after 40 appends of 8 MiB the process
# held 837 MiB, and 326 without (`make attack`, gzip-of-geojson). Groups of one checkpoint each, 16 MiB or more, are
# large enough to scan, and are dropped as a whole once retention has deleted their rows.
_SET_UP = """\
LOAD icu;
SET GLOBAL TimeZone = 'UTC';
SET allocator_background_threads = true;
SET GLOBAL max_vacuum_tasks = 0"""
_DDL_OF_STATE = f"CREATE TABLE IF NOT EXISTS {STATE} (name VARCHAR NOT NULL, number BIGINT, padding BLOB)"
MIN_PROBE_BYTES, _MAX_PROBE_BYTES = 64 * 1024, 16 * 1024**2
_PROBE = "probe"
_log = logging.getLogger("sluice.writer")
# strerror's texts for ENOSPC, EDQUOT and EFBIG (a limit on the size of a file, such as that of `ulimit -f`).
_NO_ROOM = ("no space left on device", "disk quota exceeded", "file too large")
_HOLDER = re.compile(r"\(PID ([0-9]+)\)")
_DAMAGED = ("not a valid DuckDB database", "Corrupt", "Could not read enough bytes", "checksum", "replaying WAL")
_MIB = 1024**2


class EmbeddedLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an EmbeddedStore may use.

    Appends that would leave less than `min_free_bytes` on the disk of the file are refused. DuckDB may use
    `memory_bytes`, and moves what a query needs beyond them to the disk. A row whose delivery was stored within
    `lookback_us` is a copy. `may_leave_null`: a new column is added also where older rows get no value in it.
    """

    min_free_bytes: int = 0
    memory_bytes: int = 512 * 1024**2
    lookback_us: int = 15 * MINUTE_US
    may_leave_null: bool = True


DEFAULT_LIMITS = EmbeddedLimits()


def name_of_kept(path: str) -> str:
    """Return the name under which a file is kept as it was, when another one takes its place."""
    return f"{path}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"


def open_file(path: str, tables: Sequence[Table], clock: Clock, limits: EmbeddedLimits) -> duckdb.DuckDBPyConnection:
    """Open the file at `path` (":memory:" for none), create what is missing, and advance the clock past its rows.

    Raises:
        StoreError: the file is in use, is not a DuckDB file, or its tables are not the declared ones.
    """
    try:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(path)
    except (duckdb.Error, OSError) as error:
        raise StoreError(_not_opened(path, first_line(error))) from error
    try:
        connection.execute(_SET_UP)
        connection.execute(f"SET GLOBAL memory_limit = '{limits.memory_bytes}B'")
        connection.execute(_DDL_OF_STATE)
        connection.execute(RECENT_KEYS_DDL)
        _warn_of_undeclared_tables(connection, path, tables)
        is_only = sum(table.name not in {REJECTS, ERASURES} for table in tables) <= 1
        fits = [(table, _fit(connection, path, table, is_only=is_only)) for table in tables]
        _add_columns(connection, path, fits, limits)
        for table in tables:
            _advance(connection, table, clock)
            _add_hashes(connection, table)
    except duckdb.Error as error:
        connection.close()
        raise StoreError(_not_opened(path, first_line(error))) from error
    except StoreError:
        connection.close()
        raise
    return connection


def _not_opened(path: str, reason: str) -> str:
    """Return why the file cannot be opened, and what to do."""
    if "Conflicting lock" in reason:
        holder = _HOLDER.search(reason)
        process = f"process {holder[1]}" if holder else "another process"
        return f"{path} is open in {process}: stop it, or set another SLUICE_DATA_PATH"
    if any(words in reason for words in _DAMAGED):
        return (
            f"{path} is damaged, or no DuckDB file: {reason.rstrip('.!')}. Put a copy of it back; or move it and "
            f"{path}.wal away, and the service begins an empty one"
        )
    return f"cannot open {path} (SLUICE_DATA_PATH): {reason}"


def _fit(connection: duckdb.DuckDBPyConnection, path: str, table: Table, *, is_only: bool) -> Fit:
    connection.execute(duckdb_ddl(table))
    table_fit = fit(table, file_columns(connection, table.name))
    advice = _rename_advice(table_fit.renames, "" if is_only else f" --stream {table.name}")
    if table_fit.problems:
        raise StoreError(
            f"the table {table.name} in {path} does not fit the record type: {', '.join(table_fit.problems)}. "
            f"{advice}`sluice migrate --dry-run` says how the file can be changed (docs/record-types.md); or set "
            "another SLUICE_DATA_PATH, or move the file away"
        )
    if advice:
        _log.warning("table %s in %s: %s", table.name, path, advice.rstrip())
    return table_fit


def _add_columns(
    connection: duckdb.DuckDBPyConnection, path: str, fits: Sequence[tuple[Table, Fit]], limits: EmbeddedLimits
) -> None:
    """Add the missing columns of all tables as one transaction; no row is rewritten."""
    for table, table_fit in fits:
        rows = f"SELECT 1 FROM {quote(table.name)} LIMIT 1"  # noqa: S608 - a quoted name
        if table_fit.additions and not limits.may_leave_null and connection.execute(rows).fetchone():
            new = ", ".join(addition.path for addition in table_fit.additions)
            raise StoreError(
                f"{path} has rows of {table.name} without {new}: move the file away, and the mirror fills a new one"
            )
    if any(table_fit.additions for _, table_fit in fits):
        connection.begin()
        for table, table_fit in fits:
            for addition in table_fit.additions:
                connection.execute(addition.statement(table.name))
        connection.commit()
    for table, table_fit in fits:
        if table_fit.additions:
            added = ", ".join(addition.path for addition in table_fit.additions)
            _log.warning("table %s in %s: added the columns %s", table.name, path, added)


def _rename_advice(renames: Sequence[tuple[str, str]], options: str) -> str:
    """Return a sentence about fields that may have been renamed; "" if there are none."""
    if not renames:
        return ""
    fields = ", ".join(f"{old} was renamed to {new}" for old, new in renames)
    options += "".join(f" --rename {old}={new}" for old, new in renames)
    return (
        f"If {fields}, stop the service and run `sluice migrate{options}`; until then no answer has the older values. "
    )


def _warn_of_undeclared_tables(connection: duckdb.DuckDBPyConnection, path: str, tables: Sequence[Table]) -> None:
    declared = {table.name.lower() for table in tables}
    marks = ", ".join(f"'{mark}'" for mark in MARKS)
    holders = connection.execute(
        "SELECT table_name FROM duckdb_columns() WHERE database_name = current_database() "  # noqa: S608 - constants
        f"AND column_name IN ({marks}) GROUP BY table_name HAVING count(*) = {len(MARKS)} ORDER BY table_name"
    ).fetchall()
    for (name,) in holders:
        (rows,) = connection.execute(f"SELECT count(*) FROM {quote(name)}").fetchone() or (0,)  # noqa: S608 - quoted
        if rows and name.lower() not in declared:
            _log.warning("%s", undeclared_table(f"{name} in {path}", name, rows))


def _add_hashes(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Add the hash of the id to a table whose type had another id, or none."""
    name, column = quote(table.name), quote(hash_column(table))
    columns = connection.execute(f"SELECT * FROM {name} LIMIT 0").description or []  # noqa: S608 - a quoted name
    if table.id is not None and hash_column(table) not in {found for found, *_ in columns}:
        connection.execute(f"ALTER TABLE {name} ADD COLUMN {column} UINTEGER")
        connection.execute(f"UPDATE {name} SET {column} = {hash_sql(quote(table.id.name))}")  # noqa: S608 - quoted names


def _advance(connection: duckdb.DuckDBPyConnection, table: Table, clock: Clock) -> None:
    newest = connection.execute(f"SELECT epoch_us(max(ingest_time)) FROM {quote(table.name)}").fetchone()  # noqa: S608 - a quoted name
    clock.advance_to((newest and newest[0]) or 0)  # for an empty table too: from now on stamps keep their order


def file_columns(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[FileColumn, ...]:
    """Return the columns of a table of the file, in its order, without the store's own.

    Raises:
        duckdb.CatalogException: there is no such table.
    """
    described = connection.execute(f"DESCRIBE {quote(table)}").fetchall()
    required = {name for name, _, null, *_ in described if null == "NO"}
    types = connection.execute(f"SELECT * FROM {quote(table)} LIMIT 0").description or []  # noqa: S608 - a quoted name
    return tuple(
        file_column(name, type_, is_required=name in required)
        for name, type_, *_ in types
        if not name.startswith(INTERNAL)
    )


def write_and_remove(connection: duckdb.DuckDBPyConnection, size_bytes: int) -> None:
    """Commit a row of `size_bytes` (16 MiB at most), and commit its removal.

    The bytes are random, so that they cannot be compressed. Each commit is written to the write-ahead log and synced;
    the next checkpoint empties the log.

    Raises:
        duckdb.Error: the write failed.
    """
    padding = os.urandom(min(size_bytes, _MAX_PROBE_BYTES))
    connection.execute(f"INSERT INTO {STATE} VALUES (?, 0, ?)", [_PROBE, padding])  # noqa: S608 - a constant
    connection.execute(f"DELETE FROM {STATE} WHERE name = ?", [_PROBE])  # noqa: S608 - likewise


def file_identity(path: str) -> tuple[int, int] | None:
    """Return the device and inode of the file at `path`; None if there is none. Costs a few microseconds.

    While a file is open its inode is not reused, so the same identity means the same file.
    """
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class DiskSpace:
    """Checks the file system of one file, of which `min_free_bytes` stay free; 0 turns the check off."""

    def __init__(self, path: str, min_free_bytes: int) -> None:
        self._folder = None if path == ":memory:" or not min_free_bytes else Path(path).resolve().parent
        self._min_free_bytes = min_free_bytes

    def shortage(self) -> str | None:
        """Return why nothing more may be written, or None. Costs one system call, a microsecond or two."""
        if self._folder is None:
            return None
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            return f"the data folder cannot be examined: {error.strerror}"
        free_bytes = disk.f_bavail * disk.f_frsize
        if free_bytes >= self._min_free_bytes:
            return None
        return f"the disk has {free_bytes // _MIB} MiB free, of which {self._min_free_bytes // _MIB} MiB are reserved"


def is_about_room(message: str) -> bool:
    """Return whether an error of the store says that the disk, a quota or the file is full."""
    text = message.lower()
    return any(words in text for words in _NO_ROOM)
