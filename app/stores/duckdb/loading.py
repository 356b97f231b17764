"""Load rows that arrive as Arrow, without copying them into Python."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from app.schema.table import Table
from app.stores.duckdb.table_layout import duckdb_type, quote


def columns_of_arrow(table: Table) -> str:
    """Return the values of the columns of `table`, of rows that are its own as Arrow."""
    return ", ".join(f"{quote(each.name)}::{duckdb_type(each)}" for each in table.columns)


def load(
    connection: duckdb.DuckDBPyConnection,
    stream: bytes,
    statements: Iterable[str],
    parameters: Mapping[str, Any] | None = None,
) -> int:
    """Run statements that read from `_rows` over each batch of an Arrow IPC stream; return how many rows it has.

    Raises:
        duckdb.Error, ValueError, RuntimeError: a column is missing, or has a type that cannot be cast.
    """
    import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - only loads need it
    from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

    count = 0
    with InputStream.from_readable(io.BytesIO(stream)) as source, nanoarrow.c_array_stream(source) as batches:
        for _rows in batches:  # the statements read it by this name, which no stream can have
            for statement in statements:
                connection.execute(statement, parameters)
            count += len(_rows)
    return count
