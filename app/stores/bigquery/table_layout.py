"""A table in BigQuery: its schema, its partitions, their filter, and its clustering.

Every query of the service names a range of `ingest_time`, so tables are partitioned by that column, by the hour, and
clustered by it too. A query of a minute then bills the blocks of that minute instead of its hour. Ids are looked up by
a path of their own (`look_up`).

The live table is compared with the declaration. A difference *breaks* if rows would be refused, changed, or not found
again. The service then reports SCHEMA_MISMATCH and appends nothing. A declared column that rows may lack is *pending*
while the table lacks it: the service reports COLUMNS_PENDING, stores rows that do not use it, and reads it as NULL. A
nested field breaks: it is added before the image that declares it is deployed. Whatever else
differs does no harm, such as columns that the declaration lacks.

Limits in the type (`STRING(10)`, `NUMERIC(10, 2)`) break, as they refuse or round values that the declaration allows.
BIGNUMERIC for a declared NUMERIC does not: the Storage Write API takes the same text for both, and the wider type
holds every value (https://cloud.google.com/bigquery/docs/supported-data-types).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table

PARTITION_COLUMN, PARTITION_TYPE = "ingest_time", "HOUR"
LAYOUT: dict[str, Any] = {
    "timePartitioning": {"type": PARTITION_TYPE, "field": PARTITION_COLUMN},
    "requirePartitionFilter": True,
    "clustering": {"fields": [PARTITION_COLUMN]},
}
"""The layout of every table of the service, as members of the REST API's Table resource.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table
"""


# The JSON form keeps the names of legacy SQL for three of the types
# (https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema).
_LEGACY_NAMES = {Kind.INT64: "INTEGER", Kind.FLOAT64: "FLOAT", Kind.BOOL: "BOOLEAN", Kind.STRUCT: "RECORD"}


def bigquery_schema(table: Table) -> list[dict[str, Any]]:
    """Return the table's fields: name, type, mode, description, and `fields` of a RECORD."""
    return [_field(column) for column in table.columns]


def _field(column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {
        "name": column.name,
        "type": _LEGACY_NAMES.get(column.kind, column.kind.value),
        "mode": column.mode.value,
    }
    if column.description:
        field["description"] = column.description
    if column.fields:
        field["fields"] = [_field(inner) for inner in column.fields]
    return field


_SHOWN = 5
# Legacy SQL's names, which the REST API still uses; it accepts and may return either.
_STANDARD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
_KEEP = "declare it as in the table, or under another name"
Effect = Literal["breaks", "pending"]
Field = Mapping[str, Any]


class Difference(msgspec.Struct, frozen=True):
    """One difference: its place (a column's dotted path, or table, or partitioning), and a sentence."""

    path: str
    sentence: str
    effect: Effect


def differences(table: Table, live: Field) -> list[Difference]:
    """Return how `live` differs from what `table` declares, in the declaration's order; empty if it does not.

    `live` is the Table resource of the REST API, as `google.cloud.bigquery.Table.to_api_repr` returns it.

    Raises:
        KeyError: a column has no name or type.
        ValueError: a column has a mode that BigQuery has not.
    """
    if (kind := live.get("type") or "TABLE") != "TABLE":
        text = f"It has the type {kind}, which does not allow appends: recreate the table."
        return [Difference("table", text, "breaks")]
    # Every row has an envelope, so without a column of it nothing could be stored.
    optional = frozenset(column.name for column in table.record if column.mode is not Mode.REQUIRED)
    fields = (live.get("schema") or {}).get("fields") or ()
    return [*_column_differences(table.columns, fields, optional), *_layout_differences(live)]


def _column_differences(
    declared: tuple[Column, ...], live: Sequence[Field], optional: frozenset[str], prefix: str = ""
) -> Iterator[Difference]:
    """Yield the differences of columns or, with a `prefix`, of fields; rows can wait for those that are `optional`."""
    remaining = {field["name"].lower(): field for field in live}  # BigQuery's names are case-insensitive
    for column in declared:
        path, there = prefix + column.name, remaining.pop(column.name.lower(), None)
        if there is None:
            yield _missing(path, column, "pending" if path in optional else "breaks")
            continue
        yield from _mode_differences(path, column, _mode(there))
        yield from _type_differences(path, column, _type(there))
        if column.kind is Kind.STRUCT and _type(there) == Kind.STRUCT.value:
            yield from _column_differences(column.fields, there.get("fields") or (), frozenset(), f"{path}.")
    for there in remaining.values():
        path, mode = prefix + there["name"], _mode(there)
        what = f"{path} is {mode.value} {_type(there)} in the table but not declared"
        if mode is Mode.REQUIRED and not there.get("defaultValueExpression"):
            text = f"{what}, so no row would have a value for it: declare it, or relax it to NULLABLE."
            yield Difference(path, text, "breaks")


def _mode(field: Field) -> Mode:
    return Mode((field.get("mode") or "NULLABLE").upper())


def _type(field: Field) -> str:
    """Return the type as GoogleSQL names it, with its limits."""
    name = _STANDARD_NAMES.get(field["type"].upper(), field["type"].upper())
    limits = ", ".join(str(field[limit]) for limit in ("maxLength", "precision", "scale") if field.get(limit))
    return f"{name}({limits})" if limits else name


def _missing(path: str, column: Column, effect: Effect) -> Difference:
    what = f"{path} is missing from the table; the record type declares {column.mode.value} {column.kind.value}"
    if column.mode is not Mode.REQUIRED:
        before = ", before the image that declares it is deployed" if "." in path else ""
        return Difference(path, f"{what}: add it with Terraform{before}.", effect)
    advice = "declare it optional and add it, or recreate the table"
    return Difference(path, f"{what}: BigQuery cannot add a REQUIRED column to a table, so {advice}.", "breaks")


def _mode_differences(path: str, column: Column, mode: Mode) -> Iterator[Difference]:
    what = f"{path} is {mode.value} in the table but {column.mode.value} in the record type"
    if column.mode is mode:
        return
    if Mode.REPEATED in (column.mode, mode):
        yield Difference(path, f"{what}, which cannot be changed: {_KEEP}.", "breaks")
    elif mode is Mode.REQUIRED:
        yield Difference(path, f"{what}: relax it to NULLABLE with Terraform.", "breaks")


def _type_differences(path: str, column: Column, type_: str) -> Iterator[Difference]:
    what = f"{path} is {type_} in the table but {column.kind.value} in the record type"
    if type_ != column.kind.value and (column.kind, type_) != (Kind.NUMERIC, "BIGNUMERIC"):
        yield Difference(path, f"{what}, which cannot be changed: {_KEEP}.", "breaks")


def _layout_differences(live: Field) -> Iterator[Difference]:
    by_time = live.get("timePartitioning") or {}
    if (by_time.get("type"), (by_time.get("field") or "").lower()) != (PARTITION_TYPE, PARTITION_COLUMN):
        what = f"The record type requires partitions by {PARTITION_TYPE} of {PARTITION_COLUMN}, which the table has not"
        yield Difference("partitioning", f"{what}. This cannot be changed: recreate the table.", "breaks")


def describe(all_differences: Sequence[Difference]) -> str:
    """Return the first few differences as one line, saying how many there are besides."""
    more = len(all_differences) - _SHOWN
    sentences = [difference.sentence for difference in all_differences[:_SHOWN]]
    return " ".join([*sentences, f"And {more} more."] if more > 0 else sentences)
