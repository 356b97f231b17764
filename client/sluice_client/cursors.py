"""Where a follower keeps its cursor: a file, or a SQLite database.

A cursor is saved after the records before it have been processed: after a crash between the two, the last page comes
again. A sink (`sluice_client.sinks`) has no such moment, as it stores both in one transaction.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

import msgspec

from sluice_client.errors import CursorStoreError


class CursorStore(Protocol):
    """Keeps the cursor of one feed, which `Feed.key` identifies."""

    def load(self, key: str) -> str:
        """Return the cursor, or "" if there is none yet.

        Raises:
            CursorStoreError: the stored cursor is of another feed.
        """

    def save(self, key: str, cursor: str) -> None:
        """Keep the cursor; it is durable when this returns."""


class _Saved(msgspec.Struct):
    feed: str
    cursor: str


class FileCursor:
    """A cursor in a file of its own, which is replaced as a whole."""

    def __init__(self, path: str | Path) -> None:
        """Name the file; it need not exist."""
        self._path = Path(path)

    def load(self, key: str) -> str:
        """Return the cursor in the file."""
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=_Saved)
        except FileNotFoundError:
            return ""
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CursorStoreError(f"{self._path} holds no cursor: {error}") from error
        return _of_feed(saved.feed, key, saved.cursor, str(self._path))

    def save(self, key: str, cursor: str) -> None:
        """Write the cursor beside the file, then put it in its place."""
        replace_file(self._path, msgspec.json.encode(_Saved(key, cursor)))


class SqliteCursor:
    """A cursor in a table of a SQLite database, one row for each `name`."""

    def __init__(self, path: str | Path, name: str = "default") -> None:
        """Name the database, which need not exist, and the row."""
        self._path, self._name = Path(path), name

    def load(self, key: str) -> str:
        """Return the cursor in the row."""
        try:
            with closing(self._connect()) as database:
                result = database.execute("SELECT feed, cursor FROM sluice_cursor WHERE name = ?", (self._name,))
                row = result.fetchone()
        except sqlite3.Error as error:
            raise CursorStoreError(f"{self._path} holds no cursor: {error}") from error
        return _of_feed(row[0], key, row[1], f"{self._path} ({self._name})") if row else ""

    def save(self, key: str, cursor: str) -> None:
        """Replace the row."""
        with closing(self._connect()) as database, database:
            database.execute("INSERT OR REPLACE INTO sluice_cursor VALUES (?, ?, ?)", (self._name, key, cursor))

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path)
        database.execute("CREATE TABLE IF NOT EXISTS sluice_cursor (name TEXT PRIMARY KEY, feed TEXT, cursor TEXT)")
        return database


def _of_feed(saved: str, key: str, cursor: str, where: str) -> str:
    if saved != key:
        raise CursorStoreError(f"{where} holds the cursor of {saved}, not of {key}")
    return cursor


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all; it is durable when this returns."""
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system has a way to do so."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
