"""Check that the embedded store can write: commit a row to the disk and remove it."""

import os

import duckdb

from app.stores.duckdb.file import STATE

MIN_PROBE_BYTES, _MAX_PROBE_BYTES = 64 * 1024, 16 * 1024**2
_PROBE = "probe"


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
