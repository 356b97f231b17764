"""The BigQuery schema of a table, in the JSON that `bq` and Terraform accept."""

from typing import Any

from app.schema.columns import Column, Kind
from app.schema.table import Table

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
