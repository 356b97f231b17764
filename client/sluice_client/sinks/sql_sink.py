"""A table in a database with transactions, and its state in a table beside it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from sluice_client.errors import TargetError
from sluice_client.protocol.schema import KEY, Column, Roles, Row
from sluice_client.sinks import sql
from sluice_client.sinks.latest import digest_of, latest_rows
from sluice_client.sinks.values import six_digits

_DIGESTS = 500  # that one query looks for


class Database(Protocol):
    """The part of a database that differs: its types, its parameters, and how rows get in fast."""

    name: str
    types: Mapping[str, str]
    digest: str
    """What makes the SHA-256 of a value, `{}`, in hexadecimal digits."""
    errors: tuple[type[Exception], ...]

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement with `?` for parameters; return its rows."""

    def has_table(self, table: str) -> bool:
        """Return whether there is such a table."""

    def insert(self, columns: Sequence[Column], rows: Sequence[Row], into: Callable[[str], str]) -> int:
        """Insert rows by the statement that `into` makes of their source; return how many."""

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self) -> None:
        """Make it durable."""

    def rollback(self) -> None:
        """End it without effect; do nothing if there is none."""

    def close(self) -> None:
        """Close the database."""


class SqlSink:
    """A sink over any such database."""

    def __init__(self, database: Database, table: str) -> None:
        """Touch no table yet."""
        self._database, self._table = database, table
        self._columns: tuple[Column, ...] = ()
        self._stored: dict[str, str] = {}
        self._cursor = ""
        self._roles: Roles | None = None
        self._erased: Mapping[str, str] = {}

    def keep_latest(self, roles: Roles) -> None:
        """Let the table have one row for each id: its latest version, also if that is a tombstone."""
        self._roles = roles

    def open(self, key: str, columns: Sequence[Column], *, moved: bool = False, rewind: bool = False) -> str:
        """Make the table and its state, or check that they are of this feed."""
        with self._transaction():
            self._database.execute(sql.create_state())
        with self._transaction():
            rows = self._database.execute(
                f"SELECT feed, columns, cursor FROM {sql.STATE} WHERE table_name = ?", [self._table]
            )
            if not rows:
                self._create(key, columns)
            else:
                feed, stored, self._cursor = rows[0]
                self._check(feed, key, moved=moved)
                self._stored = msgspec.json.decode(stored, type=dict[str, str])
                if rewind and self._roles is not None:
                    self._forget()
        self.widen(columns)
        return "" if rewind else self._cursor

    def _create(self, key: str, columns: Sequence[Column]) -> None:
        if self._database.has_table(self._table):
            raise TargetError(f"{self._where} exists, and no feed was followed into it: choose another table")
        key_column = KEY if self._roles is None else self._roles.id
        self._database.execute(sql.create_table(self._table, columns, self._database.types, key_column))
        self._stored, self._cursor = {column.path: column.kind for column in columns}, ""
        self._database.execute(
            f"INSERT INTO {sql.STATE} VALUES (?, ?, ?, ?)", [self._table, key, _encoded(self._stored), self._cursor]
        )

    def _forget(self) -> None:
        """Empty the table: what has left the state would stay in it."""
        self._database.execute(f"DELETE FROM {sql.quoted(self._table)}")
        self._database.execute(f"UPDATE {sql.STATE} SET cursor = '' WHERE table_name = ?", [self._table])
        self._cursor = ""

    def _check(self, feed: str, key: str, *, moved: bool) -> None:
        if feed == key:
            return
        if not moved:
            raise TargetError(f"{self._where} follows {feed}, not {key}")
        if feed.partition("/v1/")[2] != key.partition("/v1/")[2]:
            raise TargetError(
                f"{self._where} follows {feed}: another URL of the service may replace it, {key} does not"
            )
        self._database.execute(f"UPDATE {sql.STATE} SET feed = ? WHERE table_name = ?", [key, self._table])

    def widen(self, columns: Sequence[Column]) -> None:
        """Add new columns, and remember them, in one transaction."""
        for column in columns:
            if column.kind not in self._database.types:
                raise TargetError(f"{column.path} has the type {column.kind}, which this version does not know")
            before = self._stored.get(column.path, column.kind)
            if before != column.kind:
                raise TargetError(f"{self._where}: {column.path} was {before} and is {column.kind} now")
        self._columns = tuple(columns)
        new = [column for column in columns if column.path not in self._stored]
        if not new:
            return
        with self._transaction():
            for column in new:
                self._database.execute(sql.add_column(self._table, column, self._database.types))
            stored = self._stored | {column.path: column.kind for column in new}
            self._database.execute(
                f"UPDATE {sql.STATE} SET columns = ? WHERE table_name = ?", [_encoded(stored), self._table]
            )
        self._stored = stored

    def write(self, rows: Sequence[Row], cursor: str, erased: Mapping[str, str] | None = None) -> int:
        """Store rows and cursor in one transaction, if no other process has moved the cursor.

        A table of the latest versions first loses those in `erased` (as `latest_rows` has it).
        """
        if not rows and cursor == self._cursor:
            return 0
        with self._transaction():
            count = self._insert(rows) if self._roles is None else self._replace(rows, self._roles, erased or {})
            moved = self._database.execute(
                f"UPDATE {sql.STATE} SET cursor = ? WHERE table_name = ? AND cursor = ? RETURNING table_name",
                [cursor, self._table, self._cursor],
            )
            if len(moved) != 1:
                raise TargetError(f"another process follows into {self._where}")
        self._cursor = cursor
        return count

    def _insert(self, rows: Sequence[Row]) -> int:
        into = partial(sql.insert, self._table, self._columns)
        return self._database.insert(self._columns, rows, into) if rows else 0

    def _replace(self, rows: Sequence[Row], roles: Roles, erased: Mapping[str, str]) -> int:
        self._erase(roles, [digest for digest, until in erased.items() if self._erased.get(digest) != until], erased)
        self._erased = erased
        rows = latest_rows(rows, self._columns, roles, erased)
        into = partial(sql.upsert, self._table, self._columns, roles=roles)
        return self._database.insert(self._columns, rows, into) if rows else 0

    def _erase(self, roles: Roles, digests: Sequence[str], erased: Mapping[str, str]) -> None:
        database = self._database
        for begin in range(0, len(digests), _DIGESTS):
            some = digests[begin : begin + _DIGESTS]
            for (record_id,) in database.execute(
                sql.find_digests(self._table, roles, database.digest, len(some)), some
            ):
                until = six_digits(erased[digest_of(record_id)])
                database.execute(sql.erase(self._table, roles, database.types), [record_id, until])

    def flush(self) -> None:
        """Do nothing: each page is stored when it is written."""

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @property
    def _where(self) -> str:
        return f"table {self._table} of {self._database.name}"

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._database, lambda: self._where)


class _Transaction:
    """A transaction, whose failures are a TargetError."""

    def __init__(self, database: Database, where: Callable[[], str]) -> None:
        self._database, self._where = database, where

    def __enter__(self) -> None:
        try:
            self._database.begin()
        except self._database.errors as error:
            raise TargetError(f"{self._where()}: {error}") from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None:
            try:
                self._database.commit()
            except self._database.errors as failure:
                raise TargetError(f"{self._where()}: {failure}") from failure
            return
        try:
            self._database.rollback()
        except self._database.errors as failure:
            error.add_note(f"rolling back failed too: {failure}")
        if isinstance(error, self._database.errors):
            raise TargetError(f"{self._where()}: {error}") from error


def _encoded(columns: Mapping[str, str]) -> str:
    return msgspec.json.encode(columns).decode()
