"""The way out in Arrow: one IPC stream, whose rows and types are those of every store."""

from datetime import UTC, datetime

import nanoarrow  # type: ignore[import-untyped]
import pytest
from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]

from app.runtime.time_range import TimeRange
from app.stores.query import Rows
from app.stores.source import StoreUnavailableError
from tests.contract.shelf import Put, Shelf
from tests.contract.stores import T0_US

_COLUMNS = ("id", "timestamp", "source", "data", "message_index", "delivery_key", "ingest_time")


def _stream(shelf: Shelf, table: str = "records") -> nanoarrow.ArrayStream:
    query = Rows(table=table, within=TimeRange(T0_US, T0_US + 100), lookback_us=100, columns=_COLUMNS, descending=True)

    async def read() -> bytes:
        return b"".join([piece async for piece in shelf.store.runner.arrow(query)])

    return nanoarrow.ArrayStream(InputStream.from_readable(shelf.run(read())))


def test_an_export_holds_every_row_in_the_order_of_its_query(shelf: Shelf) -> None:
    """With the types that the seam promises: instants in UTC to the microsecond, JSON as text."""
    shelf.put(Put(T0_US + number, f"k{number:04}", f"id{number}") for number in range(30))
    stream = _stream(shelf)
    assert {field.name: field.type.name for field in stream.schema.fields} == {
        "id": "STRING",
        "timestamp": "TIMESTAMP",
        "source": "STRING",
        "data": "STRING",
        "message_index": "INT64",
        "delivery_key": "STRING",
        "ingest_time": "TIMESTAMP",
    }
    assert stream.schema.field(1).timezone == stream.schema.field(6).timezone == "UTC"
    rows = list(stream.read_all().iter_tuples())
    assert [row[5] for row in rows] == [f"k{number:04}" for number in reversed(range(30))]
    first = ("id29", datetime(2026, 1, 1, tzinfo=UTC), None, None, 0, "k0029")
    assert rows[0][:6] == first
    assert rows[0][6].replace(tzinfo=UTC) == datetime(2023, 11, 14, 22, 13, 20, 29, tzinfo=UTC)


def test_an_export_that_cannot_be_is_a_named_error(shelf: Shelf) -> None:
    """It comes before the first byte."""
    with pytest.raises(StoreUnavailableError):
        _stream(shelf, "records_of_nobody")
