"""Compare a declaration with a table of the file, and decide which differences the service resolves by itself. Pure.

A column that rows may lack is *added* when the file is opened. A column that only the file has is *noted*: it stays
empty in new rows, so an older image can open the file of a newer one. Any other difference is a *problem*: it is
refused at opening, and `sluice migrate` resolves it.
"""

from collections.abc import Iterable, Iterator, Sequence
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
        inner = ", ".join(f"{field.name} {field.type_text}" for field in self.fields)
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


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """How a table of the file differs from its declaration: paths to add, paths that only it has, and sentences.

    `renames` are pairs of an undeclared column and a lacking one of its type: possibly one under two names.
    """

    additions: tuple[Addition, ...] = ()
    undeclared: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()


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
    results = list(_compared(table.columns, columns, "", ""))
    return Fit(
        additions=tuple(each for each in results if isinstance(each, Addition)),
        undeclared=tuple(each.path for each in results if isinstance(each, _Undeclared) and not each.problem),
        problems=tuple(problem for each in results if (problem := _problem(each))),
        renames=tuple(_renames(results)),
    )


class _Undeclared(msgspec.Struct, frozen=True):
    path: str
    column: FileColumn
    problem: str


class _Lacking(msgspec.Struct, frozen=True):
    path: str
    column: Column
    problem: str


_Difference = Addition | _Lacking | _Undeclared | str


def _problem(difference: _Difference) -> str:
    match difference:
        case Addition():
            return ""
        case _Lacking() | _Undeclared():
            return difference.problem
        case _:
            return difference


def _renames(differences: Sequence[_Difference]) -> Iterator[tuple[str, str]]:
    """Yield each undeclared column with the lacking one that has its type and the most similar name."""
    pairs = [
        (SequenceMatcher(None, old.path, new.path).ratio(), old.path, new.path)
        for old in differences
        for new in differences
        if isinstance(old, _Undeclared)
        and isinstance(new, Addition | _Lacking)
        and "." not in old.path + new.path
        and old.column.type_text == declared_column(new.column).type_text
    ]
    paired = set[str]()
    for _, old_path, new_path in sorted(pairs, reverse=True):
        if not paired & {old_path, new_path}:
            paired |= {old_path, new_path}
            yield old_path, new_path


def _compared(
    declared: tuple[Column, ...], columns: Iterable[FileColumn], prefix: str, target: str
) -> Iterator[_Difference]:
    remaining = {column.name.lower(): column for column in columns}  # DuckDB's names are case-insensitive
    for column in declared:
        path, there = prefix + column.name, remaining.pop(column.name.lower(), None)
        if there is not None:
            yield from _differences(column, there, path, target)
        elif column.mode is Mode.REQUIRED:
            problem = f"it lacks the column {path}, which is declared as required, so older rows would have no value"
            yield _Lacking(path, column, problem)
        else:
            yield Addition(path, target + quote(column.name), column)
    for there in remaining.values():
        path = prefix + there.name
        problem = f"its column {path} is NOT NULL but not declared, so no row could be stored"
        yield _Undeclared(path, there, problem if there.is_required else "")


def _differences(column: Column, there: FileColumn, path: str, target: str) -> Iterator[_Difference]:
    declared = declared_column(column)
    if (there.type, there.is_list) != (declared.type, declared.is_list):
        yield f"its column {path} is {there.type_text}, but declared as {declared.type_text}"
        return
    if not target and there.is_required != declared.is_required:
        words = {True: "NOT NULL", False: "NULLABLE"}
        yield f"its column {path} is {words[there.is_required]}, but declared as {words[declared.is_required]}"
    item = ".element" if there.is_list else ""
    yield from _compared(column.fields, there.fields, f"{path}.", f"{target}{quote(column.name)}{item}.")
