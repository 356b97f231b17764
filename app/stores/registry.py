"""The stores that a service can run on, by the names of SLUICE_BACKEND."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from app.runtime.clock import Clock
from app.runtime.imports import missing_package
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.sink import RowEncode, StoreError

_ENCODERS = {"embedded": "app.stores.duckdb.table_layout", "bigquery": "app.stores.bigquery.proto_rows"}
"""The module whose `row_encoder` encodes rows for a store, without the store's client."""
OPENERS = {"embedded": "app.stores.duckdb.setup", "bigquery": "app.stores.bigquery.setup"}
"""The module whose `open_backend` opens a store."""


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the store that `settings` name, for `tables`. The packages of a store are imported only if it is used.

    Raises:
        StoreError: the store cannot be opened, or a package is missing. BigQuery is not contacted yet: a fault there
            shows as a sink state, and clears without a restart.
    """
    try:
        backend: Backend = import_module(OPENERS[settings.store.backend]).open_backend(settings, tables, clock)
        # Of use where a store reads whole partitions, whatever part of one a query needs.
        if settings.query.window_bytes and backend.runner.partition_us > 1 and "query" in settings.server.roles:
            return _with_window(backend, settings, tables, clock)
    except ModuleNotFoundError as error:
        raise StoreError(missing_package(f"SLUICE_BACKEND={settings.store.backend}", error)) from error
    return backend


def _with_window(backend: Backend, settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    from app.stores.window.setup import with_window  # noqa: PLC0415 - DuckDB is imported only where it is used

    return with_window(backend, settings, tables, clock)


def row_encoder(store: str, table: Table) -> Callable[[Mapping[str, Any]], RowEncode]:
    """Return the `encoder` of the appenders of `table` in this store (app.stores.sink), without opening it."""
    encoder: Callable[[Mapping[str, Any]], RowEncode] = import_module(_ENCODERS[store]).row_encoder(table)
    return encoder
