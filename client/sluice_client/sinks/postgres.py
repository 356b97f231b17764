"""A Postgres database. Its text cannot hold U+0000: that becomes U+FFFD, and a warning is logged."""

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg

from sluice_client.errors import TargetError
from sluice_client.protocol.schema import Column, Row
from sluice_client.sinks import sql
from sluice_client.sinks.sql_sink import SqlSink
from sluice_client.sinks.values import Convert, converter, json_text

_LOGGER = logging.getLogger("sluice_client")
_MAX_NAME_BYTES = 63
_TYPES: Mapping[str, str] = {
    "BOOL": "boolean",
    "INT64": "bigint",
    "FLOAT64": "double precision",
    "NUMERIC": "numeric(38, 9)",
    "STRING": "text",
    "BYTES": "bytea",
    "TIMESTAMP": "timestamptz",
    "DATE": "date",
    "TIME": "time",
    "JSON": "jsonb",
}


def _text(value: str) -> str:
    if "\0" not in value:
        return value
    _LOGGER.warning("U+0000 in a text is stored as U+FFFD: Postgres has no such text")
    return value.replace("\0", "\ufffd")


def _json(value: Any) -> str:
    text = json_text(value)
    if r"\u0000" not in text:
        return text
    _LOGGER.warning("U+0000 in JSON is stored as U+FFFD: Postgres has no such text")
    # An escape counts only after an even number of backslashes.
    return "\\\\".join(part.replace(r"\u0000", r"\ufffd") for part in text.split("\\\\"))


_CONVERSIONS: Mapping[str, Convert] = dict.fromkeys(_TYPES, lambda value: value) | {
    "STRING": _text,
    "BYTES": base64.b64decode,
    "JSON": _json,
}


class _Postgres:
    types: Mapping[str, str] = _TYPES
    digest = "encode(sha256(convert_to({}::text, 'UTF8')), 'hex')"
    errors: tuple[type[Exception], ...] = (psycopg.Error, ValueError)

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, application_name="sluice-client")
        self.name = self._connection.info.dbname

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(_placed(statement), parameters)
        return cursor.fetchall() if cursor.description else []

    def has_table(self, table: str) -> bool:
        return bool(self.execute("SELECT 1 WHERE to_regclass(?) IS NOT NULL", [sql.quoted(table)]))

    def insert(self, columns: Sequence[Column], rows: Sequence[Row], into: Callable[[str], str]) -> int:
        converters = [converter(column, _CONVERSIONS) for column in columns]
        source = f"VALUES ({', '.join(f'?::{_TYPES[column.kind]}' for column in columns)})"
        values = [[convert(value) for convert, value in zip(converters, row, strict=True)] for row in rows]
        with self._connection.cursor() as cursor:
            cursor.executemany(_placed(into(source)), values)
            return cursor.rowcount

    def begin(self) -> None:
        self._connection.execute("BEGIN")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if not self._connection.closed and self._connection.info.transaction_status:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


def _placed(statement: str) -> bytes:
    """Write parameters as psycopg does. No statement of ours has a question mark otherwise, but a name may."""
    parts = statement.replace("%", "%%").split('"')  # every second part is within quotes
    parts[::2] = [part.replace("?", "%s") for part in parts[::2]]
    return '"'.join(parts).encode()


class PostgresSink(SqlSink):
    """A table in a Postgres database."""

    def __init__(self, url: str, table: str) -> None:
        """Connect.

        Raises:
            TargetError: the database cannot be reached.
        """
        try:
            database = _Postgres(url)
        except psycopg.Error as error:
            raise TargetError(f"the database cannot be opened: {' '.join(str(error).split())}") from error
        super().__init__(database, table)

    def widen(self, columns: Sequence[Column]) -> None:
        """Add new columns, whose names Postgres would not cut."""
        _check_names(columns)
        super().widen(columns)

    def open(self, key: str, columns: Sequence[Column], *, moved: bool = False, rewind: bool = False) -> str:
        """Make the table, likewise."""
        _check_names(columns)
        return super().open(key, columns, moved=moved, rewind=rewind)


def _check_names(columns: Sequence[Column]) -> None:
    for column in columns:
        if len(column.path.encode()) > _MAX_NAME_BYTES:
            raise TargetError(f"{column.path} is longer than {_MAX_NAME_BYTES} bytes, the longest name of Postgres")
