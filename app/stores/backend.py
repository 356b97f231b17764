"""Open a store by its name in SLUICE_BACKEND: what it provides then, and the seam of erasure."""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

import msgspec

from app.runtime.clock import Clock
from app.runtime.imports import missing_package
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.erasures import ErasedRecord
from app.stores.query import Deletion
from app.stores.sink import Appender, RowEncode, SetupError, StoreError
from app.stores.source import QueryRunner


class Eraser(Protocol):
    """Deletes rows from the tables of one store, and makes every erasure known to all instances.

    `generation` changes with every erasure. It is part of the cache keys of answers and of the entity tags of closed
    windows, so an answer from before an erasure is not given again. Other instances learn of the change within a
    minute or so.
    """

    @property
    def generation(self) -> int:
        """The latest number that this instance knows."""
        ...

    async def delete(self, query: Deletion) -> int:
        """Delete rows; return how many were removed.

        Raises:
            QueryError: the store gave no answer.
        """
        ...

    async def advance(self, erased: ErasedRecord) -> None:
        """Record an erasure, and change `generation`: here at once, on other instances a little later.

        Raises:
            QueryError: the store gave no answer.
        """
        ...


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """An open store, behind its seams. `appender` opens the Appender of a table, once; `close` is awaited last.

    `name` identifies the data: it is the same for all instances that share them. `system` is the kind of store, as
    traces name it. `connections` returns the number of open append connections by the table's name. `upkeep` returns
    the store's background tasks. `reader` returns what reads through a runner of this store, such as `runner`, with
    what it keeps in memory; it counts in its second argument. `obstacle` returns what bars every table as far as a
    glance shows; it must not block. `lag_s` returns how many seconds a mirror is behind its source; None: it is none.
    """

    name: str
    system: str
    appender: Callable[[Table], Appender]
    runner: QueryRunner
    eraser: Eraser
    upkeep: Callable[[], list[Coroutine[Any, Any, None]]]
    close: Callable[[], Awaitable[None]]
    connections: Callable[[], Mapping[str, int]]
    obstacle: Callable[[], SetupError | None] = lambda: None
    lag_s: Callable[[], float] | None = None
    reader: Callable[[QueryRunner, Counter[str]], QueryRunner] = lambda runner, _: runner


MARKS = ("delivery_key", "ingest_time", "message_index")
"""Columns that every table of records has, and hardly any other."""


def undeclared_table(place: str, name: str, rows: int) -> str:
    """Return the warning about a table of records that no stream declares; `place` identifies it for people."""
    return (
        f"table {place}: {rows:,} rows that no stream declares, so no answer has them. Declare a stream named {name} "
        "for them (docs/streams.md), or drop the table"
    )


_ENCODERS = {"embedded": "app.stores.duckdb.table_layout", "bigquery": "app.stores.bigquery.proto_rows"}
"""The module whose `row_encoder` encodes rows for a store, without the store's client."""
OPENERS = {
    "embedded": "app.stores.duckdb.setup",
    "bigquery": "app.stores.bigquery.setup",
    "mirror": "sluice.mirror.backend",
}
"""The module whose `open_backend` opens a store."""
_WINDOW = "app.stores.window.source"


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the store that `settings` name, for `tables`. The packages of a store are imported only if it is used.

    Raises:
        StoreError: the store cannot be opened, or a package is missing. BigQuery is not contacted yet: a fault there
            shows as a sink state, and clears without a restart.
    """
    try:
        backend: Backend = import_module(OPENERS[settings.store.backend]).open_backend(settings, tables, clock)
        # Of use where a store reads whole partitions, whatever part of one a query needs.
        if settings.query.window_bytes and backend.runner.profile.partition_us > 1 and "query" in settings.server.roles:
            backend = import_module(_WINDOW).with_window(backend, settings, tables, clock)
    except ModuleNotFoundError as error:
        raise StoreError(missing_package(f"SLUICE_BACKEND={settings.store.backend}", error)) from error
    return backend


def row_encoder(store: str, table: Table) -> Callable[[Mapping[str, Any]], RowEncode]:
    """Return the `encoder` of the appenders of `table` in this store (app.stores.sink), without opening it."""
    encoder: Callable[[Mapping[str, Any]], RowEncode] = import_module(_ENCODERS[store]).row_encoder(table)
    return encoder
