"""A table in DuckDB: its DDL, the INSERT that fills it from rows encoded as JSON, and its values in Python.

A whole batch travels as one JSON parameter: 50 rows in 3 ms and 5,000 in 40 ms. Arrow is faster for large
batches only, and one more package (docs/decisions/0002-rows-travel-as-json-to-duckdb.md). Instants are TIMESTAMP
columns in UTC, because the Python client needs one more package to hand out TIMESTAMP WITH TIME ZONE.

A table of the file is compared with the declaration. A column that rows may lack is *added* when the file is opened. A
column that only the file has is *noted*: it stays empty in new rows, so an older image can open the file of a newer
one. Any other difference is a *problem*: it is refused at opening, and `sluice migrate` resolves it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any

import msgspec

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table
from app.schema.values import NUMERIC_INTEGER_DIGITS, NUMERIC_SCALE
from app.stores.sink import RowEncode

NUMERIC = f"DECIMAL({NUMERIC_INTEGER_DIGITS + NUMERIC_SCALE},{NUMERIC_SCALE})"
_TYPES = {
    Kind.BOOL: "BOOLEAN",
    Kind.INT64: "BIGINT",
    Kind.FLOAT64: "DOUBLE",
    Kind.NUMERIC: NUMERIC,
    Kind.STRING: "VARCHAR",
    Kind.BYTES: "BLOB",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.JSON: "JSON",
}
# The type of the value in the JSON row, where it differs from the column.
_WIRE_TYPES = {Kind.BYTES: "VARCHAR", Kind.TIMESTAMP: "TIMESTAMPTZ"}


def duckdb_type(column: Column) -> str:
    """Return the column's DuckDB type, such as `STRUCT("a" BIGINT)[]`."""
    if column.kind is Kind.STRUCT:
        inner = ", ".join(f"{quote(field.name)} {duckdb_type(field)}" for field in column.fields)
        item = f"STRUCT({inner})"
    else:
        item = _TYPES[column.kind]
    return f"{item}[]" if column.mode is Mode.REPEATED else item


INTERNAL = "_sluice_"
"""How the names of columns begin that are the store's own."""


def hash_column(table: Table) -> str:
    """Return the name of the column with the hash of the id, "" if records have none.

    It finds an id three times as fast as the ids do: 3 million in 3 to 10 ms.
    """
    return f"{INTERNAL}{table.id.name}_hash" if table.id else ""


def hash_sql(record_id: str) -> str:
    """Return the SQL of the hash of an id, which stays the same with every version of DuckDB."""
    return f"(md5_number_lower({record_id}::VARCHAR) & 4294967295)::UINTEGER"


def id_hash(record_id: str | int) -> int:
    """Return the hash of an id, as `hash_sql` does."""
    return int.from_bytes(hashlib.md5(str(record_id).encode(), usedforsecurity=False).digest()[8:12], "little")


def duckdb_ddl(table: Table) -> str:
    """Return the CREATE TABLE statement."""
    lines = [
        f"  {quote(column.name)} {duckdb_type(column)}" + (" NOT NULL" if column.mode is Mode.REQUIRED else "")
        for column in table.columns
    ]
    if table.id:
        lines.append(f"  {quote(hash_column(table))} UINTEGER")
    return f"CREATE TABLE IF NOT EXISTS {quote(table.name)} (\n" + ",\n".join(lines) + "\n)"


def duckdb_insert(table: Table) -> str:
    """Return the INSERT of a batch.

    Parameters: $ingest_us, the stamp of the attempt in microseconds; $rows, a JSON array of objects that hold
    every column but `ingest_time`.
    """
    columns = [column for column in table.columns if column.name != "ingest_time"]
    structure = json.dumps([{column.name: _wire_structure(column) for column in columns}]).replace("'", "''")
    names = ", ".join(quote(column.name) for column in columns)
    values = ", ".join(_from_wire(column, f"r.{quote(column.name)}") for column in columns)
    if table.id:
        names += f", {quote(hash_column(table))}"
        values += f", {hash_sql(f'r.{quote(table.id.name)}')}"
    return (  # names are quoted, and the text contains no values
        f"INSERT INTO {quote(table.name)} ({names}, ingest_time) "  # noqa: S608 - see above
        f"SELECT {values}, make_timestamp($ingest_us::BIGINT) "
        f"FROM (SELECT unnest(from_json_strict($rows::JSON, '{structure}')) AS r)"
    )


def row_encoder(table: Table) -> Callable[[Mapping[str, Any]], RowEncode]:
    """Return the `encoder` of the rows of `table`, which is the same for all tables."""
    del table
    return json_encoder


def json_encoder(envelope: Mapping[str, Any]) -> RowEncode:
    """Return an encoder to JSON objects: the record, its own members of the envelope, then the shared ones."""
    shared = b"," + _json.encode(envelope)[1:]

    def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
        own = _json.encode({"message_index": index, "delivery_key": delivery_key})
        return _json.encode(record)[:-1] + b"," + own[1:-1] + shared

    return encode


_json = msgspec.json.Encoder()


def quote(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def _wire_structure(column: Column) -> Any:
    if column.kind is Kind.STRUCT:
        item: Any = {field.name: _wire_structure(field) for field in column.fields}
    else:
        item = _WIRE_TYPES.get(column.kind, _TYPES[column.kind])
    return [item] if column.mode is Mode.REPEATED else item


def _from_wire(column: Column, value: str, depth: int = 0) -> str:
    """Return the SQL that turns the JSON row's value into the column's, at any depth."""
    if not _differs_on_wire(column):
        return value
    if column.mode is Mode.REPEATED:
        item = f"v{depth}"
        return f"list_transform({value}, lambda {item}: {_item_from_wire(column, item, depth + 1)})"
    return _item_from_wire(column, value, depth)


def _item_from_wire(column: Column, value: str, depth: int) -> str:
    if column.kind is Kind.BYTES:
        return f"from_base64({value})"
    if column.kind is Kind.TIMESTAMP:
        return f"timezone('UTC', {value})"
    fields = ", ".join(
        f"{quote(field.name)} := {_from_wire(field, f'({value}).{quote(field.name)}', depth)}"
        for field in column.fields
    )
    return f"CASE WHEN {value} IS NOT NULL THEN struct_pack({fields}) END"


def _differs_on_wire(column: Column) -> bool:
    return column.kind in _WIRE_TYPES or any(_differs_on_wire(field) for field in column.fields)


def converter(type_: Any) -> Callable[[Any], Any] | None:
    """Return the conversion of values of DuckDB's `type_`, None included; None if they need none.

    A list that is NULL reads as an empty one: in rows that are older than their column, nothing else is stored.
    """
    match str(type_), type_.id:
        case "JSON", _:
            return _raw_json
        case _, "timestamp":
            return _in_utc
        case _, "list":
            return partial(_convert_list, converter(type_.children[0][1]))
        case _, "struct":
            fields = [(name, convert) for name, child in type_.children if (convert := converter(child)) is not None]
            return partial(_convert_struct, fields) if fields else None
        case _:
            return None


def _raw_json(value: str | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(value.encode())


def _in_utc(value: datetime | str | None) -> datetime | str | None:
    # DuckDB returns an instant beyond datetime's range as text; one such row must not fail its page.
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _convert_list(convert: Callable[[Any], Any] | None, values: list[Any] | None) -> list[Any]:
    return (values or []) if convert is None else [convert(value) for value in values or ()]


def _convert_struct(
    fields: list[tuple[str, Callable[[Any], Any]]], value: dict[str, Any] | None
) -> dict[str, Any] | None:
    if value is not None:
        for name, convert in fields:
            value[name] = convert(value[name])
    return value


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

    `additions` are columns to add, and `lacking` the paths of required ones, which cannot be added. `problems` are
    sentences. `renames` are pairs of an undeclared column and one that the file lacks of its type: possibly one under
    two names.
    """

    additions: list[Addition] = []
    lacking: list[str] = []
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


def _renames(surplus: Sequence[FileColumn], lacked: Iterable[FileColumn]) -> list[tuple[str, str]]:
    """Return each column that is lacking with the undeclared one of its type whose name is most similar."""
    renames = dict[str, str]()
    for new in lacked:
        same = [old.name for old in surplus if old.type_text == new.type_text and old.name not in renames]
        renames |= dict.fromkeys(get_close_matches(new.name, same, n=1, cutoff=0), new.name)
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
