"""How a table lies in BigQuery."""

import msgspec
import pytest

from app.record import Record
from app.schema.table import Table, records_table, rejects_table
from app.stores.bigquery.table_layout import LAYOUT
from sluice.local.flights.record import Flight


class _WithoutId(msgspec.Struct, forbid_unknown_fields=True):
    text: str


def test_the_layout_is_told_in_the_rest_apis_words() -> None:
    """What makes a table can send the members as they are."""
    assert LAYOUT.resource() == {
        "timePartitioning": {"type": "HOUR", "field": "ingest_time"},
        "requirePartitionFilter": True,
        "clustering": {"fields": ["ingest_time"]},
    }


@pytest.mark.parametrize(
    "table",
    [records_table(Record), records_table(Flight), records_table(_WithoutId), rejects_table()],
    ids=["record", "flight", "without_id", "reject"],
)
def test_the_columns_of_the_layout_are_columns_of_every_table(table: Table) -> None:
    """No layout names a column that a table has not."""
    assert {LAYOUT.partition_column, *LAYOUT.clustering} <= {column.name for column in table.columns}
