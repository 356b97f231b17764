"""How a table lies in BigQuery."""

from app.stores.bigquery.table_layout import LAYOUT


def test_the_layout_is_told_in_the_rest_apis_words() -> None:
    """What makes a table can send the members as they are."""
    assert LAYOUT.resource() == {
        "timePartitioning": {"type": "HOUR", "field": "ingest_time"},
        "requirePartitionFilter": True,
        "clustering": {"fields": ["ingest_time"]},
    }
