"""`sluice migrate`: change the tables in the file of the embedded store to fit the record types.

It is one transaction, and a copy is kept. The file is open, and so locked, from the first look to the end.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import duckdb
import msgspec

from app.record import RecordTypeError
from app.schema.columns import Column, Mode
from app.schema.table import Table, rejects_table
from app.settings.load import SettingsError, load_settings
from app.stores.duckdb.file import file_columns, name_of_kept
from app.stores.duckdb.table_layout import (
    STRUCT,
    FileColumn,
    declared_column,
    duckdb_ddl,
    duckdb_type,
    fit,
    hash_column,
    hash_sql,
    quote,
)
from app.stores.erasures import erasures_table
from app.stores.sink import StoreError
from app.telemetry.redaction import first_line
from sluice.cli.declared_tables import add_type_arguments, only_table, tables_of

DONE, IMPOSSIBLE, WRONG = 0, 1, 2
_ABOUT = """\
Change the file of the embedded store to fit the record type. A copy of it is kept under the name that is printed. A
value that the declared type cannot hold exactly is refused. Stop the service first."""
_AFTER = f"""\
exit status: {DONE} it is done, or there is nothing to do, {IMPOSSIBLE} the file cannot be migrated and is unchanged, \
{WRONG} the command or the record type is wrong"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description, parser.epilog = _ABOUT, _AFTER
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_type_arguments(parser, "needed to name a column")
    parser.add_argument("--data-path", help="the file (default: $SLUICE_DATA_PATH, else the service's default)")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", type=_rename, help="a renamed column"
    )
    parser.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="a column that may lose values")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")


def run(args: argparse.Namespace) -> int:
    """Migrate, and print what was done; return the exit status."""
    data_path = args.data_path or os.environ.get("SLUICE_DATA_PATH", "")
    try:
        tables = tables_of(args, os.environ)
        if args.rename or args.drop:
            only_table(tables)  # a column that is named must be of one
        path = load_settings({"SLUICE_DATA_PATH": data_path} if data_path else {}).store.data_path
        done = migrate(
            path, [*tables, rejects_table(), erasures_table()], dict(args.rename), set(args.drop), dry_run=args.dry_run
        )
    except (RecordTypeError, SettingsError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return WRONG
    except StoreError as error:
        print(error, file=sys.stderr)
        return IMPOSSIBLE
    for plan in done.plans:
        print(f"{plan.table.name} in {path}: {len(plan.steps)} changes")
        for step in plan.steps:
            print(f"  {step}")
    if done.kept is not None:
        print(f"migrated; the file as it was is {done.kept}: remove it once you are satisfied")
    elif done.has_steps:
        print("nothing was changed (--dry-run)")
    return DONE


def _rename(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old or not new or "." in text:
        raise argparse.ArgumentTypeError(f"{text!r}: expected OLD=NEW, the names of two columns")
    return old, new


_COPY = "sluice_copy"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How a table is migrated: the expression of each column's value over the old row, and sentences about it.

    It is possible if there are no `problems` and no row fulfils a condition of `checks`; each has the sentence that
    names its column.
    """

    table: Table
    values: Mapping[str, str]
    steps: tuple[str, ...]
    checks: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of each declared table of the file, and the name of the copy; None if the file was not changed."""

    plans: tuple[Plan, ...]
    kept: str | None = None

    @property
    def has_steps(self) -> bool:
        """Whether there is anything to do."""
        return any(each.steps for each in self.plans)


def plan(table: Table, columns: Iterable[FileColumn], renames: Mapping[str, str], drops: AbstractSet[str]) -> Plan:
    """Plan how the table with `columns` becomes `table`. Pure.

    `renames` are old names of columns to new ones. `drops` are columns whose values may be lost, as a whole or in part.
    """
    columns = tuple(columns)
    there = {column.name.lower(): column for column in columns}  # DuckDB's names are case-insensitive
    steps, checks, values = list[str](), list[tuple[str, str]](), dict[str, str]()
    problems = [*_misnamed(table, there, renames, drops), *_lacking(table, columns, renames)]
    old_by_new = {new: there.pop(old.lower(), None) for old, new in renames.items()}
    for column in table.columns:
        name, now, old = column.name, there.pop(column.name.lower(), None), old_by_new.get(column.name)
        sources = [source for source in (now, old) if source is not None]
        casts = [_cast(column, source) for source in sources]
        values[name] = f"COALESCE({', '.join(casts)})" if len(casts) > 1 else "".join(casts) or "NULL"
        if old is not None:
            steps.append(f"merge   {old.name} into {name}" if now else f"rename  {old.name} to {name}")
        if now is not None and old is not None:
            both = f"{quote(now.name)} IS NOT NULL AND {quote(old.name)} IS NOT NULL"
            checks.append((both, f"both {old.name} and {name} have a value"))
        for source, cast in zip(sources, casts, strict=True):
            steps += _changes(column, source)
            problems += _obstacles(column, source)
            if cast.startswith("TRY_CAST") and not {source.name, name} & drops:
                lost = f"TRY_CAST({cast} AS {source.type_sql()}) IS DISTINCT FROM {quote(source.name)}"
                text = f"{source.name} has a value that {declared_column(column).type_text} cannot hold exactly"
                checks.append((lost, f"{text}: --drop {source.name} permits the loss"))
        if not sources:
            steps.append(f"add     {name} {declared_column(column).type_text}")
        if column.mode is Mode.REQUIRED and not any(source.is_required for source in sources):
            checks.append((f"({values[name]}) IS NULL", f"{name} has no value, and is declared as required"))
    steps += [f"drop    {surplus.name}" for surplus in there.values()]
    checks += [_held(surplus) for surplus in there.values() if surplus.name not in drops]
    if table.id is not None:
        values[hash_column(table)] = hash_sql(values[table.id.name])
    return Plan(table=table, values=values, steps=tuple(steps), checks=tuple(checks), problems=tuple(problems))


def _misnamed(
    table: Table, there: Mapping[str, FileColumn], renames: Mapping[str, str], drops: AbstractSet[str]
) -> Iterator[str]:
    declared = {column.name for column in table.columns}
    for name in sorted((renames.keys() | drops) - {column.name for column in there.values()}):
        yield f"there is no column {name} to rename or drop"
    for name in sorted(renames.keys() & declared):
        yield f"{name} is declared, so it cannot be renamed"
    for name in sorted(set(renames.values()) - declared):
        yield f"there is no declared column {name} to rename another to"
    for name, count in Counter(renames.values()).items():
        if count > 1:
            yield f"several columns are renamed to {name}: choose one"


def _lacking(table: Table, columns: Iterable[FileColumn], renames: Mapping[str, str]) -> Iterator[str]:
    for path in fit(table, columns).lacking:
        if path not in renames.values():
            advice = f"declare it optional, or name the column that it was with --rename OLD={path}"
            yield f"{path} is declared as required, and older rows have no value: {advice}"


def _held(column: FileColumn) -> tuple[str, str]:
    condition = f"len({quote(column.name)}) > 0" if column.is_list else f"{quote(column.name)} IS NOT NULL"
    advice = f"--drop {column.name} removes them, --rename {column.name}=NEW gives them to another column"
    return condition, f"{column.name} is not declared and has values: {advice}"


def _changes(column: Column, source: FileColumn) -> Iterator[str]:
    target = declared_column(column)
    if source.type_text != target.type_text:
        yield f"cast    {column.name} from {source.type_text} to {target.type_text}"
    if source.is_required != target.is_required:
        yield f"tighten {column.name} to REQUIRED" if target.is_required else f"relax   {column.name} to NULLABLE"


def _obstacles(column: Column, source: FileColumn) -> Iterator[str]:
    """Yield why no value of `source` can become one of `column`; whether each one can, a check finds."""
    target = declared_column(column)
    is_other = source.type != target.type and not {source.type, target.type}.isdisjoint({STRUCT, "BLOB"})
    if source.is_list != target.is_list or is_other:
        yield f"{column.name} is {source.type_text}, and cannot become {target.type_text}: declare another field"


def _cast(column: Column, source: FileColumn) -> str:
    value, target = quote(source.name), declared_column(column)
    if source.type_text == target.type_text:
        return value
    if target.type == "JSON":
        return f"to_json({value})"  # a cast would read the text as JSON
    return f"TRY_CAST({value} AS {duckdb_type(column)})"  # matches fields of a STRUCT by name


def migrate(
    path: str, tables: Sequence[Table], renames: Mapping[str, str], drops: AbstractSet[str], *, dry_run: bool
) -> Migration:
    """Migrate the file at `path` to `tables`; `renames` and `drops` concern the first of them.

    Raises:
        StoreError: there is no such file, it is in use, or it cannot be migrated; it is as it was.
    """
    if not Path(path).is_file():
        raise StoreError(f"there is no file {path} (SLUICE_DATA_PATH)")
    try:
        with duckdb.connect(path, read_only=dry_run) as connection:
            connection.execute("LOAD icu; SET GLOBAL TimeZone = 'UTC'")
            migration = _planned(connection, tables, renames, drops)
            if dry_run or not migration.has_steps:
                return migration
            kept = name_of_kept(path)
            _copy(connection, kept)
            _change(connection, migration.plans)
            return msgspec.structs.replace(migration, kept=kept)
    except (duckdb.Error, OSError) as error:
        text = first_line(error)
        hint = ": is a service using it? Stop it first" if "lock" in text.lower() else ""
        raise StoreError(f"cannot migrate {path}{hint}: {text}") from error


def _planned(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], renames: Mapping[str, str], drops: AbstractSet[str]
) -> Migration:
    present = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    plans = []
    for position, table in enumerate(tables):
        if table.name in present:
            named = (renames, drops) if position == 0 else ({}, frozenset[str]())
            plans.append(plan(table, file_columns(connection, table.name), *named))
    problems = [f"{each.table.name}: {problem}" for each in plans for problem in each.problems]
    problems = problems or [text for each in plans for text in _violated(connection, each)]
    if problems:
        raise StoreError("the file cannot be migrated:\n" + "\n".join(f"  {problem}" for problem in problems))
    return Migration(plans=tuple(plans))


def _violated(connection: duckdb.DuckDBPyConnection, planned: Plan) -> Iterator[str]:
    for condition, problem in planned.checks:
        found = f"SELECT count(*), first(delivery_key) FROM {quote(planned.table.name)} WHERE {condition}"  # noqa: S608 - quoted names
        rows, key = connection.execute(found).fetchone() or (0, None)
        if rows:
            yield f"{planned.table.name}: {problem} (in {rows} rows, such as that with the delivery_key {key})"


def _copy(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    # By DuckDB: whoever opens and closes the file in this process gives up its lock.
    (database,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    location = path.replace("'", "''")
    connection.execute(f"ATTACH '{location}' AS {_COPY}")
    connection.execute(f"COPY FROM DATABASE {quote(database)} TO {_COPY}")
    connection.execute(f"DETACH {_COPY}")


def _change(connection: duckdb.DuckDBPyConnection, plans: Iterable[Plan]) -> None:
    connection.begin()
    for planned in plans:
        old, new = planned.table, msgspec.structs.replace(planned.table, name=f"{planned.table.name} migrated")
        if planned.steps:
            names, values = ", ".join(map(quote, planned.values)), ", ".join(planned.values.values())
            connection.execute(duckdb_ddl(new))
            connection.execute(f"INSERT INTO {quote(new.name)} ({names}) SELECT {values} FROM {quote(old.name)}")  # noqa: S608 - quoted names
            connection.execute(f"DROP TABLE {quote(old.name)}")
            connection.execute(f"ALTER TABLE {quote(new.name)} RENAME TO {quote(old.name)}")
    connection.commit()
    connection.execute("CHECKPOINT")
