"""A table in BigQuery: its schema, its partitions, their filter, and its clustering.

Every query of the service names a range of `ingest_time`, so tables are partitioned by that column. Partitions are
hours, since a poll reads minutes. Tables are clustered by the column of look-ups: a record's id, a reject's reason.
"""

from typing import Any

import msgspec

from app.schema.columns import Column, Kind
from app.schema.table import REJECTS, Table

PARTITION_COLUMN = "ingest_time"
_REJECTS_CLUSTERING = ("reason",)


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The partitions and the clustering of one table; `clustering` is empty for a record type without an id."""

    clustering: tuple[str, ...]
    partition_column: str = PARTITION_COLUMN
    partition_type: str = "HOUR"
    require_partition_filter: bool = True

    def resource(self) -> dict[str, Any]:
        """Return the layout as members of the REST API's Table resource.

        https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table
        """
        members: dict[str, Any] = {
            "timePartitioning": {"type": self.partition_type, "field": self.partition_column},
            "requirePartitionFilter": self.require_partition_filter,
        }
        if self.clustering:
            members["clustering"] = {"fields": list(self.clustering)}
        return members


def layout_of(table: Table) -> Layout:
    """Return the layout that `table` should have in BigQuery."""
    if table.name == REJECTS:
        return Layout(clustering=_REJECTS_CLUSTERING)
    return Layout(clustering=() if table.id is None else (table.id.name,))


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
