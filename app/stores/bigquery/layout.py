"""The layout of a table in BigQuery: its partitions, their filter, and its clustering.

Every query of the service names a range of `ingest_time`, so tables are partitioned by that column. Partitions are
hours, since a poll reads minutes. Tables are clustered by the column of look-ups: a record's id, a reject's reason.
"""

from typing import Any

import msgspec

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
