"""A DuckDB file. Rows travel as one JSON parameter: row by row an insert would take fifty times as long."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb
import msgspec

from sluice_client.errors import TargetError
from sluice_client.protocol.schema import Column, Row
from sluice_client.sinks.sql_sink import SqlSink
from sluice_client.sinks.values import json_text

_TYPES: dict[str, str] = {
    "BOOL": "BOOLEAN",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38, 9)",
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATE": "DATE",
    "TIME": "TIME",
    "JSON": "JSON",
}
_TRAVELS = _TYPES | {"BYTES": "VARCHAR", "JSON": "VARCHAR"}
_ARRIVES = {"BYTES": "from_base64({})", "JSON": "{}::JSON"}


class _Duckdb:
    types: Mapping[str, str] = _TYPES
    digest = "sha256({}::VARCHAR)"
    errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, path: str) -> None:
        self.name = path
        self._connection = duckdb.connect(path)
        self._is_open = False

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(statement, parameters).fetchall()
        return rows

    def has_table(self, table: str) -> bool:
        query = "SELECT 1 FROM information_schema.tables WHERE lower(table_name) = lower(?)"
        return bool(self.execute(query, [table]))

    def insert(self, columns: Sequence[Column], rows: Sequence[Row], into: Callable[[str], str]) -> int:
        names = [f"c{number}" for number in range(len(columns))]
        json = [number for number, column in enumerate(columns) if column.kind == "JSON"]
        objects = list[dict[str, Any]]()
        for row in rows:
            values = list(row)
            for number in json:
                if values[number] is not None:
                    values[number] = json_text(values[number])
            objects.append(dict(zip(names, values, strict=True)))
        pairs = list(zip(names, columns, strict=True))
        structure = msgspec.json.encode([{name: _TRAVELS[column.kind] for name, column in pairs}]).decode()
        chosen = ", ".join(_ARRIVES.get(column.kind, "{}").format(f"r.{name}") for name, column in pairs)
        source = f"SELECT {chosen} FROM (SELECT unnest(from_json_strict(?::JSON, '{structure}')) AS r)"
        ((count,),) = self.execute(into(source), [msgspec.json.encode(objects).decode()])
        return int(count)

    def begin(self) -> None:
        self._connection.begin()
        self._is_open = True

    def commit(self) -> None:
        self._connection.commit()
        self._is_open = False

    def rollback(self) -> None:
        if self._is_open:
            self._is_open = False
            self._connection.rollback()

    def close(self) -> None:
        self._connection.close()


class DuckdbSink(SqlSink):
    """A table in a DuckDB file, which one process at a time may open."""

    def __init__(self, path: str, table: str) -> None:
        """Open the file, or make it.

        Raises:
            TargetError: it cannot be opened, such as while another process has it open.
        """
        try:
            database = _Duckdb(path)
        except duckdb.Error as error:
            raise TargetError(f"{path} cannot be opened: {error}") from error
        super().__init__(database, table)
