"""A SQLite file. Instants are text in UTC with six digits, which sorts like them; a NUMERIC is text, which is exact."""

import base64
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice_client.errors import TargetError
from sluice_client.protocol.schema import Column, Row
from sluice_client.sinks.latest import digest_of
from sluice_client.sinks.sql_sink import SqlSink
from sluice_client.sinks.values import Convert, converter, json_text, six_digits

_BUSY_S = 30.0
_CONVERSIONS: Mapping[str, Convert] = {
    "BOOL": int,
    "INT64": int,
    "FLOAT64": float,
    "NUMERIC": str,
    "STRING": str,
    "BYTES": base64.b64decode,
    "TIMESTAMP": six_digits,
    "DATE": str,
    "TIME": six_digits,
    "JSON": json_text,
}


class _Sqlite:
    types: Mapping[str, str] = dict.fromkeys(_CONVERSIONS, "TEXT") | {
        "BOOL": "INTEGER",
        "INT64": "INTEGER",
        "FLOAT64": "REAL",
        "BYTES": "BLOB",
    }
    digest = "sluice_sha256({})"
    errors: tuple[type[Exception], ...] = (sqlite3.Error, ValueError, OverflowError)

    def __init__(self, path: str) -> None:
        self.name = path
        # The async client writes from one thread after the other.
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        self._connection.create_function("sluice_sha256", 1, digest_of, deterministic=True)

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, parameters).fetchall()

    def has_table(self, table: str) -> bool:
        return bool(self.execute("SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?)", [table]))

    def insert(self, columns: Sequence[Column], rows: Sequence[Row], into: Callable[[str], str]) -> int:
        converters = [converter(column, _CONVERSIONS) for column in columns]
        source = f"VALUES ({', '.join('?' * len(columns))})"
        values = [[convert(value) for convert, value in zip(converters, row, strict=True)] for row in rows]
        return self._connection.executemany(into(source), values).rowcount

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


class SqliteSink(SqlSink):
    """A table in a SQLite file."""

    def __init__(self, path: str, table: str) -> None:
        """Open the file, or make it.

        Raises:
            TargetError: it cannot be opened.
        """
        try:
            database = _Sqlite(path)
            database.execute("SELECT 1 FROM sqlite_master")  # a file that is no database is found out here
        except sqlite3.Error as error:
            raise TargetError(f"{path} cannot be opened: {error}") from error
        super().__init__(database, table)
