"""A table in BigQuery: its schema, its partitions, their filter, its clustering, and the search index on its id.

Every query of the service names a range of `ingest_time`, so tables are partitioned by that column, by the hour, and
clustered by it too. A query of a minute then bills the blocks of that minute instead of its hour. Ids are looked up by
a path of their own (`look_up`).
"""

from typing import Any

import msgspec

from app.schema.columns import Column, Kind
from app.schema.table import Table

PARTITION_COLUMN = "ingest_time"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The partitions and the clustering of every table."""

    clustering: tuple[str, ...] = (PARTITION_COLUMN,)
    partition_column: str = PARTITION_COLUMN
    partition_type: str = "HOUR"
    require_partition_filter: bool = True

    def resource(self) -> dict[str, Any]:
        """Return the layout as members of the REST API's Table resource.

        https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#Table
        """
        return {
            "timePartitioning": {"type": self.partition_type, "field": self.partition_column},
            "requirePartitionFilter": self.require_partition_filter,
            "clustering": {"fields": list(self.clustering)},
        }


LAYOUT = Layout()
"""The layout that a table of the service should have."""


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


def search_index_ddl(column: Column, table_id: str) -> str:
    """Return the statement that makes the index on the ids of a table; where there is one, it changes nothing.

    Terraform has no resource for one, so `sluice schema index` makes it. BigQuery fills it by itself. The index of a
    table of less than about 10 GB is TEMPORARILY DISABLED, as it should be: BigQuery reads such a table without one.
    https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_search_index_statement
    """
    # An id is one word, whatever is in it; numbers are not indexed unless that is asked for.
    options = "data_types = ['INT64']" if column.kind is Kind.INT64 else "analyzer = 'NO_OP_ANALYZER'"
    name = column.name
    return f"CREATE SEARCH INDEX IF NOT EXISTS `{name}_index` ON `{table_id}`(`{name}`) OPTIONS ({options})"
