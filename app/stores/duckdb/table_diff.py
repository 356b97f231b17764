"""Compare a declaration with a table of the file, and decide which differences the service resolves by itself. Pure.

A column that rows may lack is *added* when the file is opened. A column that only the file has is *noted*: it stays
empty in new rows, so an older image can open the file of a newer one. Any other difference is a *problem*: it is
refused at opening, and `sluice migrate` resolves it.
"""

from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import Any

import msgspec

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table
from app.stores.duckdb.table_layout import duckdb_type, quote

STRUCT = "STRUCT"


class FileColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the file, or a field of a STRUCT: `type` is the type of a value, or of an item of a list."""

    name: str
    type: str
    is_list: bool = False
    is_required: bool = False
    fields: tuple["FileColumn", ...] = ()

    @property
    def type_text(self) -> str:
        """The type for a message, such as `STRUCT(a BIGINT)[]`."""
        return self.type_sql(str)

    def type_sql(self, named: Callable[[str], str] = quote) -> str:
        """Return the type for DuckDB; `named` returns what stands for the name of a field."""
        inner = ", ".join(f"{named(field.name)} {field.type_sql(named)}" for field in self.fields)
        item = f"{self.type}({inner})" if self.fields else self.type
        return f"{item}[]" if self.is_list else item


class Addition(msgspec.Struct, frozen=True):
    """A column to add: the dotted `path` for people, and `target` for ALTER TABLE."""

    path: str
    target: str
    column: Column

    def statement(self, table: str) -> str:
        """Return the ALTER TABLE. No default, not even `[]`: DuckDB cannot replay one from its write-ahead log."""
        return f"ALTER TABLE {quote(table)} ADD COLUMN {self.target} {duckdb_type(self.column)}"


class Fit(msgspec.Struct, kw_only=True):
    """How a table of the file differs from its declaration.

    `additions` are columns to add, `lacking` the paths of required ones, which cannot be added, and `undeclared` those
    of columns that only the file has. `problems` are sentences. `renames` are pairs of an undeclared column and one
    that the file lacks of its type: possibly one under two names.
    """

    additions: list[Addition] = []
    lacking: list[str] = []
    undeclared: list[str] = []
    problems: list[str] = []
    renames: list[tuple[str, str]] = []


def file_column(name: str, type_: Any, *, is_required: bool = False) -> FileColumn:
    """Return a column by its DuckDBPyType."""
    is_list = type_.id == "list"
    item = type_.children[0][1] if is_list else type_
    is_struct = item.id == "struct"
    return FileColumn(
        name=name,
        type=STRUCT if is_struct else str(item),
        is_list=is_list,
        is_required=is_required,
        fields=tuple(file_column(*child) for child in item.children) if is_struct else (),
    )


def declared_column(column: Column) -> FileColumn:
    """Return what `column` looks like in a file that was made for it. Only columns of the table can be NOT NULL."""
    item = msgspec.structs.replace(column, mode=Mode.NULLABLE)
    return FileColumn(
        name=column.name,
        type=STRUCT if column.kind is Kind.STRUCT else duckdb_type(item),
        is_list=column.mode is Mode.REPEATED,
        is_required=column.mode is Mode.REQUIRED,
        fields=tuple(msgspec.structs.replace(declared_column(field), is_required=False) for field in column.fields),
    )


def fit(table: Table, columns: Iterable[FileColumn]) -> Fit:
    """Compare `table` with the `columns` of the file."""
    columns, found = tuple(columns), Fit()
    _compare(found, table.columns, columns, "", "")
    new = {*found.lacking, *(each.path for each in found.additions)}
    lacked = [declared_column(column) for column in table.columns if column.name in new]
    names = {column.name.lower() for column in table.columns}
    surplus = [column for column in columns if column.name.lower() not in names]
    found.renames = _renames(surplus, lacked)
    return found


def _renames(surplus: Iterable[FileColumn], lacked: Sequence[FileColumn]) -> list[tuple[str, str]]:
    """Return each undeclared column with the one of its type that is lacking and whose name is most similar."""
    pairs = sorted(
        (
            (SequenceMatcher(None, old.name, new.name).ratio(), old.name, new.name)
            for old in surplus
            for new in lacked
            if old.type_text == new.type_text
        ),
        reverse=True,
    )
    renames = dict[str, str]()
    for _, old, new in pairs:
        if old not in renames and new not in renames.values():
            renames[old] = new
    return list(renames.items())


def _compare(found: Fit, declared: tuple[Column, ...], columns: Iterable[FileColumn], prefix: str, target: str) -> None:
    remaining = {column.name.lower(): column for column in columns}  # DuckDB's names are case-insensitive
    for column in declared:
        path, there = prefix + column.name, remaining.pop(column.name.lower(), None)
        if there is not None:
            _compare_column(found, column, there, path, target)
        elif column.mode is Mode.REQUIRED:
            found.lacking.append(path)
            found.problems.append(
                f"it lacks the column {path}, which is declared as required, so older rows would have no value"
            )
        else:
            found.additions.append(Addition(path, target + quote(column.name), column))
    for there in remaining.values():
        if there.is_required:
            text = f"its column {prefix}{there.name} is NOT NULL but not declared, so no row could be stored"
            found.problems.append(text)
        else:
            found.undeclared.append(prefix + there.name)


def _compare_column(found: Fit, column: Column, there: FileColumn, path: str, target: str) -> None:
    declared = declared_column(column)
    if (there.type, there.is_list) != (declared.type, declared.is_list):
        found.problems.append(f"its column {path} is {there.type_text}, but declared as {declared.type_text}")
        return
    if not target and there.is_required != declared.is_required:
        words = {True: "NOT NULL", False: "NULLABLE"}
        text = f"is {words[there.is_required]}, but declared as {words[declared.is_required]}"
        found.problems.append(f"its column {path} {text}")
    item = ".element" if there.is_list else ""
    _compare(found, column.fields, there.fields, f"{path}.", f"{target}{quote(column.name)}{item}.")
