"""Which store a service runs on, and what is said when its packages are missing."""

import sys
from collections.abc import Iterator

import pytest

from app.record import Record
from app.schema.table import records_table, rejects_table
from app.settings.load import Settings
from app.stores.backend import open_backend
from app.stores.sink import StoreError
from sluice.testing.clock import FakeClock

TABLES = (records_table(Record), rejects_table())


@pytest.fixture
def _without_duckdb(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a machine where DuckDB is not installed."""
    for name in [name for name in sys.modules if name.startswith(("duckdb", "app.stores.duckdb."))]:
        monkeypatch.delitem(sys.modules, name)

    class Absent:
        def find_spec(self, name: str, *_: object) -> None:
            if name.startswith("duckdb"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    yield
    for name in [name for name in sys.modules if name.startswith("app.stores.duckdb.")]:
        del sys.modules[name]


@pytest.mark.usefixtures("_without_duckdb")
def test_a_store_whose_packages_are_missing_says_which_and_how_to_get_them() -> None:
    """The image for the cloud holds no DuckDB, and the other way round."""
    with pytest.raises(StoreError, match=r"SLUICE_BACKEND=embedded needs the package duckdb, which is not installed"):
        open_backend(Settings().replace(data_path=":memory:"), TABLES, FakeClock())
