"""A dataset with a table of records that no stream declares is named as the service starts."""

import asyncio
import json

import pytest

from app.record import Record
from app.schema.table import records_table
from sluice.testing.pace import patience_s
from sluice.testing.service import SETTINGS, running
from tests.table_server import Answer, found, refused, resource_of, serving_tables

OLD = records_table(Record, name="old_orders")
DECLARED = "records", "records_rejected", "_instances", "_erasures"


def listed(*others: str) -> Answer:
    """Answer with the list of tables."""
    tables = [
        {"tableReference": {"projectId": "my-project", "datasetId": "events", "tableId": name}, "type": kind}
        for kind, names in {"TABLE": (*DECLARED, *others), "VIEW": ["recent"]}.items()
        for name in names
    ]
    return Answer(body=json.dumps({"tables": tables, "totalItems": len(tables)}).encode())


async def start_up(answers: dict[str, Answer], words: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Start a service over a dataset, wait for a line with `words`, and return the lines about undeclared tables."""
    caplog.set_level("INFO", "sluice.writer")
    with serving_tables(answers) as server:
        settings = SETTINGS.replace(
            backend="bigquery",
            bigquery_project="my-project",
            bigquery_dataset="events",
            bigquery_rest_url=server.url,
            bigquery_storage_url="http://127.0.0.1:1",
        )
        async with running(settings), asyncio.timeout(patience_s(30)):
            while words not in caplog.text:  # noqa: ASYNC110 - of a thread
                await asyncio.sleep(0.01)
    return [line for line in caplog.messages if "no stream declares" in line]


async def test_a_table_of_records_without_a_stream_is_named_with_its_rows(caplog: pytest.LogCaptureFixture) -> None:
    """Those in the buffer, too; a declared table, a view, an empty table and one of other columns are not."""
    buffer = {"estimatedRows": "5", "estimatedBytes": "1"}
    other = resource_of(OLD, numRows="7", schema={"fields": [{"name": "delivery_key", "type": "STRING"}]})
    answers = {
        "tables": listed("empty", "other", "old_orders"),
        "empty": found(resource_of(OLD, numRows="0")),
        "other": found(other),
        "old_orders": found(resource_of(OLD, numRows="1200", streamingBuffer=buffer)),
    }
    assert await start_up(answers, "old_orders", caplog) == [
        "table my-project.events.old_orders: 1,205 rows that no stream declares, so no answer has them. Declare a "
        "stream named old_orders for them (docs/streams.md), or drop the table"
    ]


async def test_a_dataset_whose_tables_may_not_be_listed_starts_as_well(caplog: pytest.LogCaptureFixture) -> None:
    """The right is no condition of storing."""
    answers = {"tables": refused(403, "accessDenied", "Access Denied: bigquery.tables.list")}
    assert await start_up(answers, "could not be listed: 403", caplog) == []
