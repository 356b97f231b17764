"""Targets, and what a reader of each finds there."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import psycopg
import pyarrow.dataset


class Target(msgspec.Struct, frozen=True):
    """A target by its name, its table, and how to read rows of the named columns in the order of the keys."""

    name: str
    table: str
    read: Callable[..., list[tuple[Any, ...]]]

    @property
    def has_key(self) -> bool:
        """Whether records stay single even if the feed repeats them."""
        return not self.name.endswith("/")


def _query(table: str, columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{name}"' for name in columns)
    return f'SELECT {names} FROM "{table}" ORDER BY "delivery_key"'  # noqa: S608 - names of the tests


def sqlite_target(path: Path) -> Target:
    """A SQLite file."""

    def read(*columns: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as store:
            return store.execute(_query("records", columns)).fetchall()

    return Target(str(path), "records", read)


def duckdb_target(path: Path) -> Target:
    """A DuckDB file."""

    def read(*columns: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(path)) as store:
            found: list[tuple[Any, ...]] = store.execute(_query("records", columns)).fetchall()
            return found

    return Target(str(path), "records", read)


def postgres_target(url: str, table: str) -> Target:
    """A table in Postgres."""

    def read(*columns: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(url) as store:
            return store.execute(_query(table, columns).encode()).fetchall()

    return Target(url, table, read)


def parquet_target(folder: Path) -> Target:
    """A folder of Parquet files, as a reader of all of them sees it."""

    def read(*columns: str) -> list[tuple[Any, ...]]:
        files = sorted(folder.glob("*.parquet"))
        if not files:
            return []
        found = pyarrow.dataset.dataset([str(file) for file in files], schema=_schema(files))
        rows = found.to_table(columns=list({*columns, "delivery_key"})).to_pylist()
        rows.sort(key=lambda row: row["delivery_key"])
        return [tuple(row[name] for name in columns) for row in rows]

    return Target(f"{folder}/", "records", read)


def _schema(files: list[Path]) -> Any:
    """Return the columns of all files: later ones may have more."""
    return pyarrow.unify_schemas([pyarrow.dataset.dataset(str(file)).schema for file in files])
