"""What a target does, and the target that a text names."""

import importlib
from collections.abc import Sequence
from typing import Protocol

from sluice_client.errors import TargetError
from sluice_client.protocol.schema import Column, Row


class Sink(Protocol):
    """A table, or the like of it, with the cursor of the feed that it holds."""

    def open(self, key: str, columns: Sequence[Column], *, moved: bool = False, rewind: bool = False) -> str:
        """Prepare the table for these columns of a feed, and return the cursor to continue from, or "".

        `moved`: the service has another URL now. `rewind`: forget the cursor; records that are stored stay single.

        Raises:
            TargetError: it holds another feed, or the columns do not fit.
        """

    def widen(self, columns: Sequence[Column]) -> None:
        """Add the columns that the table does not have yet; from now on rows have these.

        Raises:
            TargetError: the type of a column has changed.
        """

    def write(self, rows: Sequence[Row], cursor: str) -> int:
        """Store rows and the cursor behind them, both or neither; return how many rows are new.

        A target may hold pages back until `flush`; after a crash it then returns the cursor before them.

        Raises:
            TargetError: the target failed, or another process writes to it; the follower must end.
        """

    def flush(self) -> None:
        """Store the pages that were held back."""

    def close(self) -> None:
        """Release the target, without what was held back."""


_SUFFIXES = {
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
    ".parquet": "parquet",
    "/": "parquet",
}
_PREFIXES = {
    "duckdb": "duckdb",
    "sqlite": "sqlite",
    "parquet": "parquet",
    "postgresql": "postgres",
    "postgres": "postgres",
}
_SINKS = {
    "duckdb": ("sluice_client.sinks.duckdb_file", "DuckdbSink"),
    "sqlite": ("sluice_client.sinks.sqlite", "SqliteSink"),
    "postgres": ("sluice_client.sinks.postgres", "PostgresSink"),
    "parquet": ("sluice_client.sinks.parquet", "ParquetSink"),
}
FORMS = "FILE.duckdb, FILE.sqlite, FOLDER/ (Parquet), postgresql://…, or one of duckdb:PATH, sqlite:PATH, parquet:PATH"


def open_sink(target: str, table: str) -> Sink:
    """Return the sink that `target` names; its table, where it has tables, is `table`.

    Raises:
        TargetError: no kind of target has such a name, its package is not installed, or it cannot be opened.
    """
    prefix, colon, path = target.partition(":")
    kind = _PREFIXES.get(prefix) if colon else None
    if kind is None:
        path = target
        kind = next((kind for suffix, kind in _SUFFIXES.items() if target.endswith(suffix)), None)
    if kind is None:
        raise TargetError(f"{target} names no kind of target: give {FORMS}")
    if not path:
        raise TargetError(f"{target} names no file")
    module, name = _SINKS[kind]
    try:
        sink_type = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise TargetError(f"{target} needs a package: it comes with sluice-client[{kind}]") from error
    sink: Sink = sink_type(target if kind == "postgres" else path, table)
    return sink
