import msgspec
import pytest

from app.record import Record
from app.schema.table import Table, records_table, rejects_table
from app.stores.bigquery.table_layout import Layout, layout_of
from examples.flights.record import Flight


class _WithoutId(msgspec.Struct, forbid_unknown_fields=True):
    text: str


@pytest.mark.parametrize(
    ("table", "clustering"),
    [(records_table(Record), ("id",)), (rejects_table(), ("reason",)), (records_table(_WithoutId), ())],
    ids=["record", "reject", "without_id"],
)
def test_a_table_is_clustered_by_what_is_looked_up(table: Table, clustering: tuple[str, ...]) -> None:
    """Records lie by their id where they have one, rejects by their reason; all by the hour they came in."""
    assert layout_of(table) == Layout(
        clustering=clustering, partition_column="ingest_time", partition_type="HOUR", require_partition_filter=True
    )


def test_the_layout_is_told_in_the_rest_apis_words() -> None:
    """What makes a table can send the members as they are; without clustering there is none."""
    partitions = {"timePartitioning": {"type": "HOUR", "field": "ingest_time"}, "requirePartitionFilter": True}
    assert layout_of(rejects_table()).resource() == {**partitions, "clustering": {"fields": ["reason"]}}
    assert layout_of(records_table(_WithoutId)).resource() == partitions


@pytest.mark.parametrize(
    "table", [records_table(Record), records_table(Flight), rejects_table()], ids=["record", "flight", "reject"]
)
def test_the_columns_of_the_layout_are_columns_of_the_table(table: Table) -> None:
    """No layout names a column that its table has not."""
    layout = layout_of(table)
    assert {layout.partition_column, *layout.clustering} <= {column.name for column in table.columns}
