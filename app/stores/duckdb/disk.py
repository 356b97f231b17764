"""The embedded store's disk: its free space, and the proof that it can be written to."""

import os
from pathlib import Path

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


# strerror's texts for ENOSPC, EDQUOT and EFBIG (a limit on the size of a file, such as that of `ulimit -f`).
_NO_ROOM = ("no space left on device", "disk quota exceeded", "file too large")
_MIB = 1024**2


class DiskSpace:
    """Checks the file system of one file, of which `min_free_bytes` stay free; 0 turns the check off."""

    def __init__(self, path: str, min_free_bytes: int) -> None:
        self._folder = None if path == ":memory:" or not min_free_bytes else Path(path).resolve().parent
        self._min_free_bytes = min_free_bytes

    def shortage(self, size_bytes: int = 0) -> str | None:
        """Return why `size_bytes` more must not be written, or None. Costs one system call, a microsecond or two."""
        if self._folder is None:
            return None
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            return f"the data folder cannot be examined: {error.strerror}"
        free_bytes = found.f_bavail * found.f_frsize
        if free_bytes >= self._min_free_bytes + size_bytes:
            return None
        return (
            f"the disk has {free_bytes // _MIB} MiB free; SLUICE_MIN_FREE_DISK_BYTES reserves "
            f"{self._min_free_bytes // _MIB} MiB"
        )


def is_about_room(message: str) -> bool:
    """Return whether an error of the store says that the disk, a quota or the file is full."""
    text = message.lower()
    return any(words in text for words in _NO_ROOM)
