"""Migrate the file of the embedded store to the declared tables, in a copy; the old file is kept.

The old file is open, and so locked, from the first look to the end. The copy replaces it by one atomic rename, so
whenever this process ends, the name of the file is that of a whole one: the old, or the new.
"""

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec

from app.schema.table import Table
from app.stores.duckdb.file import file_columns
from app.stores.duckdb.migration_plan import Plan, plan
from app.stores.duckdb.table_layout import quote
from app.stores.sink import StoreError
from app.telemetry.redaction import first_line

_COPY = "migrated"
_COPY_SUFFIX = ".migrating"


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """What was planned for each table that the file has, how many rows each has, and under which name the old file is.

    `kept` is None if the file was not changed.
    """

    plans: tuple[Plan, ...]
    rows: Mapping[str, int]
    kept: Path | None = None

    @property
    def has_steps(self) -> bool:
        """Whether there is anything to do."""
        return any(each.steps for each in self.plans)


def migrate(
    path: str, tables: Sequence[Table], renames: Mapping[str, str], removals: AbstractSet[str], *, dry_run: bool
) -> Migration:
    """Migrate the file at `path` to `tables`; `renames` and `removals` concern the first of them.

    Raises:
        StoreError: there is no such file, it is in use, or it cannot be migrated; it is as it was.
    """
    if not Path(path).is_file():
        raise StoreError(f"there is no file {path} (SLUICE_DATA_PATH)")
    try:
        with duckdb.connect(path, read_only=dry_run) as connection:
            connection.execute("LOAD icu; SET GLOBAL TimeZone = 'UTC'")
            migration = _planned(connection, tables, renames, removals)
            if dry_run or not migration.has_steps:
                return migration
            return msgspec.structs.replace(migration, kept=_replace(connection, Path(path), migration))
    except (duckdb.Error, OSError) as error:
        text = first_line(error)
        hint = ": is a service using it? Stop it first" if "lock" in text.lower() else ""
        raise StoreError(f"cannot migrate {path}{hint}: {text}") from error


def _planned(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[Table],
    renames: Mapping[str, str],
    removals: AbstractSet[str],
) -> Migration:
    present = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    plans = []
    for position, table in enumerate(tables):
        if table.name in present:
            declared = (renames, removals) if position == 0 else ({}, frozenset[str]())
            plans.append(plan(table, file_columns(connection, table.name), *declared))
    problems = [f"{each.table}: {problem}" for each in plans for problem in each.problems]
    problems = problems or [text for each in plans for text in _violated(connection, each)]
    if problems:
        raise StoreError("the file cannot be migrated:\n" + "\n".join(f"  {problem}" for problem in problems))
    return Migration(plans=tuple(plans), rows={name: _count(connection, quote(name)) for name in sorted(present)})


def _violated(connection: duckdb.DuckDBPyConnection, planned: Plan) -> list[str]:
    counted = [
        (_count(connection, f"{quote(planned.table)} WHERE {check.condition}"), check.problem)
        for check in planned.checks
    ]
    return [f"{planned.table}: {problem} (in {count} rows)" for count, problem in counted if count]


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {source}").fetchone()  # noqa: S608 - quoted names
    return int(row[0]) if row else 0


def _replace(connection: duckdb.DuckDBPyConnection, path: Path, migration: Migration) -> Path:
    """Write the copy, verify it, and let it take the name of the file; return the name under which the old one is."""
    connection.execute("CHECKPOINT")  # a write-ahead log would be replayed into the copy
    copy = path.with_name(path.name + _COPY_SUFFIX)
    for leftover in (copy, copy.with_name(copy.name + ".wal")):
        leftover.unlink(missing_ok=True)
    try:
        _write(connection, copy, migration)
        _sync(copy)
        kept = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
        os.link(path, kept)
        os.replace(copy, path)  # noqa: PTH105 - atomic, as its name says
        _sync(path.parent)
    finally:
        with suppress(OSError):
            copy.unlink(missing_ok=True)
    return kept


def _write(connection: duckdb.DuckDBPyConnection, copy: Path, migration: Migration) -> None:
    (source,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    definitions = dict(connection.execute("SELECT table_name, sql FROM duckdb_tables()").fetchall())
    location = str(copy).replace("'", "''")
    connection.execute(f"ATTACH '{location}' AS {_COPY}")
    connection.begin()
    planned = {each.table: each.statements(source, _COPY) for each in migration.plans}
    connection.execute(f"USE {_COPY}")
    for name, definition in definitions.items():
        whole = f"INSERT INTO {_COPY}.{quote(name)} SELECT * FROM {quote(source)}.{quote(name)}"  # noqa: S608 - quoted
        for statement in planned.get(name, (definition, whole)):
            connection.execute(statement)
    connection.execute(f"USE {quote(source)}")
    copied = {name: _count(connection, f"{_COPY}.{quote(name)}") for name in definitions}
    if copied != migration.rows:
        raise StoreError(f"the copy has {copied} rows where the file has {dict(migration.rows)}; nothing was changed")
    connection.commit()
    connection.execute(f"CHECKPOINT {_COPY}")
    connection.execute(f"DETACH {_COPY}")


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
