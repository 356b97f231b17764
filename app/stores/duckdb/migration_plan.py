"""Plan the migration of a table of the file: every column of the new table as an expression over the old one. Pure.

Renames and removals are declared by the operator, since they cannot be guessed. A column that only the file has is
kept, and so is a field of a STRUCT, unless it is removed.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from app.schema.columns import Column, Mode
from app.schema.table import Table
from app.stores.duckdb.table_diff import STRUCT, FileColumn, declared_column
from app.stores.duckdb.table_layout import NUMERIC, quote

_WIDER = {
    ("BIGINT", "DOUBLE"),
    ("BIGINT", NUMERIC),
    ("BIGINT", "VARCHAR"),
    (NUMERIC, "DOUBLE"),
    ("DATE", "TIMESTAMP"),
    ("DATE", "VARCHAR"),
    ("VARCHAR", "JSON"),
}


class Check(msgspec.Struct, frozen=True):
    """A condition on a row that the migration cannot keep, and what it means."""

    condition: str
    problem: str


class Made(msgspec.Struct, frozen=True):
    """A column of the new table and the expression of its value."""

    column: FileColumn
    value: str

    @property
    def definition(self) -> str:
        """The column in CREATE TABLE."""
        return f"{quote(self.column.name)} {type_sql(self.column)}{' NOT NULL' if self.column.is_required else ''}"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration does to a table; it is possible if there are no `problems`, and no row fulfils a check."""

    table: str
    made: tuple[Made, ...]
    steps: tuple[str, ...]
    checks: tuple[Check, ...]
    problems: tuple[str, ...]

    def statements(self, source: str, target: str) -> tuple[str, str]:
        """Return the CREATE TABLE in the database `target`, and the INSERT of all rows of the database `source`."""
        name = quote(self.table)
        columns = ",\n  ".join(made.definition for made in self.made)
        names, values = (", ".join(each) for each in zip(*self._pairs(), strict=True))
        create = f"CREATE TABLE {quote(target)}.{name} (\n  {columns}\n)"
        insert = f"INSERT INTO {quote(target)}.{name} ({names}) SELECT {values} FROM {quote(source)}.{name}"  # noqa: S608 - quoted names, and expressions of them
        return create, insert

    def _pairs(self) -> list[tuple[str, str]]:
        return [(quote(made.column.name), made.value) for made in self.made]


def type_sql(column: FileColumn) -> str:
    """Return the type of `column` for a statement."""
    if column.fields:
        inner = ", ".join(f"{quote(field.name)} {type_sql(field)}" for field in column.fields)
        return f"STRUCT({inner})" + ("[]" if column.is_list else "")
    return column.type + ("[]" if column.is_list else "")


def plan(table: Table, columns: Iterable[FileColumn], renames: Mapping[str, str], removals: AbstractSet[str]) -> Plan:
    """Plan how the table with `columns` becomes that of the declaration.

    `renames` are old dotted paths to new ones, of the same STRUCT or of the table; `removals` are paths.
    """
    planner = _Planner(renames, removals)
    made = planner.struct(table.columns, tuple(columns), "", "")
    for path in sorted({*renames, *removals} - planner.used):
        planner.problems.append(f"there is no undeclared column {path} to rename or remove")
    return Plan(
        table=table.name,
        made=tuple(made),
        steps=tuple(planner.steps),
        checks=tuple(planner.checks),
        problems=tuple(planner.problems),
    )


class _Planner:
    def __init__(self, renames: Mapping[str, str], removals: AbstractSet[str]) -> None:
        self._old_by_new, self._removals = {new: old for old, new in renames.items()}, removals
        self.steps: list[str] = []
        self.checks: list[Check] = []
        self.problems: list[str] = []
        self.used: set[str] = set()

    def struct(
        self, declared: tuple[Column, ...], columns: tuple[FileColumn, ...], prefix: str, owner: str
    ) -> list[Made]:
        """Return the columns of a table (`owner` is ""), or the fields of the STRUCT `owner`."""
        there = {column.name.lower(): column for column in columns}
        made = []
        for column in declared:
            path = prefix + column.name
            now, old = there.pop(column.name.lower(), None), self._renamed(path, prefix, there)
            made.append(self._column(column, now, old, path, owner))
        return made + [kept for column in there.values() if (kept := self._undeclared(column, prefix, owner))]

    def _renamed(self, path: str, prefix: str, there: dict[str, FileColumn]) -> FileColumn | None:
        old = self._old_by_new.get(path, "")
        if not old.startswith(prefix) or "." in old.removeprefix(prefix):
            return None
        source = there.pop(old.removeprefix(prefix).lower(), None)
        if source is not None:
            self.used.add(old)
        return source

    def _undeclared(self, column: FileColumn, prefix: str, owner: str) -> Made | None:
        path = prefix + column.name
        if path in self._removals:
            self.used.add(path)
            self.steps.append(f"remove  {path}")
            return None
        if column.is_required:
            self.steps.append(f"relax   {path}, which is not declared, to NULLABLE")
        return Made(msgspec.structs.replace(column, is_required=False), _access(owner, column.name))

    def _column(self, column: Column, now: FileColumn | None, old: FileColumn | None, path: str, owner: str) -> Made:
        target = declared_column(column)
        if owner:
            target = msgspec.structs.replace(target, is_required=False)
        source = now or old
        if source is None:
            if column.mode is Mode.REQUIRED:
                self.problems.append(
                    f"{path} is declared as required, and the file has no such column: declare it optional, or name "
                    f"the column that it was with --rename OLD={path}"
                )
            self.steps.append(f"add     {path} {target.type_text}")
            return Made(target, "NULL")
        made = self._value(column, source, path, _access(owner, source.name))
        if old is not None:
            old_path = path[: len(path) - len(column.name)] + old.name
            self.steps.append(f"merge   {old_path} into {path}" if now else f"rename  {old_path} to {path}")
        if now is not None and old is not None:
            other = self._value(column, old, path, _access(owner, old.name))
            both = f"{made.value} IS NOT NULL AND {other.value} IS NOT NULL"
            self.checks.append(Check(both, f"both {old.name} and {path} have a value"))
            made = Made(made.column, f"COALESCE({made.value}, {other.value})")
        return self._with_mode(made, source, target, path, is_field=bool(owner))

    def _with_mode(self, made: Made, source: FileColumn, target: FileColumn, path: str, *, is_field: bool) -> Made:
        if is_field or source.is_required == target.is_required:
            return made
        if target.is_required:
            self.steps.append(f"tighten {path} to REQUIRED")
            self.checks.append(Check(f"{made.value} IS NULL", f"{path} has no value, and is declared as required"))
        else:
            self.steps.append(f"relax   {path} to NULLABLE")
        return Made(msgspec.structs.replace(made.column, is_required=target.is_required), made.value)

    def _value(self, column: Column, source: FileColumn, path: str, value: str) -> Made:
        """Return the column with the type that is declared, and the expression that makes it of `value`."""
        target = declared_column(column)
        result = msgspec.structs.replace(target, is_required=source.is_required)
        is_same_shape = (source.is_list, source.type == STRUCT) == (target.is_list, target.type == STRUCT)
        if not is_same_shape:
            text = f"{path} is {source.type_text}, and cannot become {target.type_text}: declare another field"
            self.problems.append(text)
            return Made(result, value)
        before = len(self.checks)
        item = "item" if source.is_list else value
        changed, result = self._item(column, source, result, path, item)
        if not source.is_list or changed == item:
            return Made(result, value if changed == item else changed)
        wrapped = [
            Check(
                f"COALESCE(list_bool_or(list_transform({value}, lambda item: {each.condition})), false)", each.problem
            )
            for each in self.checks[before:]
        ]
        self.checks[before:] = wrapped
        return Made(result, f"list_transform({value}, lambda item: {changed})")

    def _item(
        self, column: Column, source: FileColumn, result: FileColumn, path: str, item: str
    ) -> tuple[str, FileColumn]:
        if source.type == STRUCT:
            fields = self.struct(column.fields, source.fields, f"{path}.", item)
            result = msgspec.structs.replace(result, fields=tuple(made.column for made in fields))
            if result.fields == source.fields and all(made.value == _access(item, made.column.name) for made in fields):
                return item, result
            packed = ", ".join(f"{quote(made.column.name)} := {made.value}" for made in fields)
            return f"CASE WHEN {item} IS NOT NULL THEN struct_pack({packed}) END", result
        if source.type == result.type:
            return item, result
        if (source.type, result.type) not in _WIDER:
            self.problems.append(f"{path} is {source.type}, and cannot become {result.type}: declare another field")
            return item, result
        self.steps.append(f"widen   {path} from {source.type} to {result.type}")
        if result.type == "JSON":
            return f"to_json({item})", result
        self.checks.append(
            Check(
                f"CAST(CAST({item} AS {result.type}) AS {source.type}) IS DISTINCT FROM {item}",
                f"{path} has a value that {result.type} cannot hold exactly",
            )
        )
        return f"CAST({item} AS {result.type})", result


def _access(owner: str, name: str) -> str:
    return f"{owner}.{quote(name)}" if owner else quote(name)
