"""The stores that a service can run on, by the names of SLUICE_BACKEND."""

from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from app.runtime.clock import Clock
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.sink import StoreError


class Opener(NamedTuple):
    """The module whose `open_backend` opens a store, and the extra of pyproject.toml that holds its packages."""

    module: str
    extra: str


OPENERS = {
    "embedded": Opener("app.stores.duckdb.setup", "embedded"),
    "bigquery": Opener("app.stores.bigquery.setup", "cloud"),
}


def open_backend(settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Open the store that `settings` name, for `tables`. The packages of a store are imported only if it is used.

    Raises:
        StoreError: the store cannot be opened, or a package is missing. BigQuery is not contacted yet: a fault there
            shows as a sink state, and clears without a restart.
    """
    opener = OPENERS[settings.store.backend]
    try:
        backend: Backend = import_module(opener.module).open_backend(settings, tables, clock)
    except ModuleNotFoundError as error:
        raise StoreError(
            f"SLUICE_BACKEND={settings.store.backend} needs the package {error.name}, which is not installed: "
            f"install it with `uv sync --extra {opener.extra}`"
        ) from error
    return backend
