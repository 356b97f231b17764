"""A row that uses a promoted column which the table lacks is stored at once, over local-bigquery."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
from google.cloud import bigquery
from msgspec import Meta

from app.ingest.decode.envelope import Message
from app.runtime.time_range import TimeRange
from app.schema.columns import Kind
from app.schema.table import records_table, rejects_table
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.bigquery.table_layout import bigquery_schema
from app.stores.query import Condition, Deletion, RowQuery
from app.stores.sink import ColumnsPending, RowsHeld, Stored
from sluice.testing.clock import FakeClock
from tests.contract.stores import T0_US
from tests.encoding import encoded, whole_envelope
from tests.stores.bigquery.test_columns_pending import append, opened
from tests.support.local_bigquery import Double

_Promoted = Meta(extra={"sluice": ["promoted"]})
_Rest = Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})]


class Parcel(msgspec.Struct, kw_only=True):
    """A type that keeps what it does not declare."""

    id: str
    rest: _Rest = {}


class ParcelLater(msgspec.Struct, kw_only=True):
    """The same, with a promoted field of every kind, and one that is not promoted."""

    id: str
    rest: _Rest = {}
    flag: Annotated[bool | None, _Promoted] = None
    count: Annotated[int | None, _Promoted] = None
    weight: Annotated[float | None, _Promoted] = None
    text: Annotated[str | None, _Promoted] = None
    at: Annotated[datetime | None, _Promoted] = None
    other: str | None = None


FIRST, LATER = records_table(Parcel), records_table(ParcelLater)
NAMES = tuple(column.name for column in LATER.columns)
FULL = ParcelLater(
    id="full",
    rest={"gate": 1.10, "big": 2**60 + 1},
    flag=False,
    count=2**63 - 1,
    weight=-0.0,
    text='"q"\n',
    at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
)
PAGE = RowQuery(
    table="records", within=TimeRange(T0_US, 2 * T0_US), lookback_us=0, columns=NAMES, limit=100, candidates=100
)


def grow(place: TableAddress) -> None:
    """Add the columns of the later type, as Terraform does."""
    access = BigQueryClients(place)
    live = access.client().get_table(place.table_id("records"))
    live.schema = [bigquery.SchemaField.from_api_repr(each) for each in sorted(bigquery_schema(LATER), key=_of_later)]
    access.client().update_table(live, ["schema"])
    access.close()


def _of_later(column: dict[str, Any]) -> bool:
    return column["name"] not in {each.name for each in FIRST.columns}


def fields_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the record's columns of a row but its id, with their JSON decoded."""
    values = {column.name: row[column.name] for column in LATER.record if column.name != "id"}
    return {name: msgspec.json.decode(each) if isinstance(each, msgspec.Raw) else each for name, each in values.items()}


async def test_a_row_rides_in_its_rest_and_reads_as_one_that_did_not(local_bigquery: Double) -> None:
    """Before and after Terraform has run; a row that uses a column which is not promoted waits."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as backend:
            assert isinstance(await backend.appender(LATER).check(), ColumnsPending)
            assert await append(backend, LATER, FULL) == Stored()
            assert isinstance(await append(backend, LATER, ParcelLater(id="waits", other="x", count=1)), RowsHeld)
            (before,) = (await backend.runner.rows(PAGE)).rows
            await asyncio.to_thread(grow, place)
            assert await backend.appender(LATER).check() is None
            await clock.advance(1)
            assert await append(backend, LATER, msgspec.structs.replace(FULL, id="after")) == Stored()
            after = {row["id"]: row for row in (await backend.runner.rows(PAGE)).rows}
            assert fields_of(after["full"]) == fields_of(after["after"]) == fields_of(before)
            assert fields_of(before)["rest"] == {"gate": 1.1, "big": 2**60 + 1}
            assert fields_of(before)["count"] == 2**63 - 1
    finally:
        local_bigquery.drop(place)


async def test_an_erasure_may_name_a_column_that_the_table_lacks(local_bigquery: Double) -> None:
    """It matches nothing, unless the value rides in the rest; `isnull` matches every row."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as backend:
            assert isinstance(await backend.appender(LATER).check(), ColumnsPending)
            for parcel in (FULL, ParcelLater(id="a"), ParcelLater(id="b")):
                assert await append(backend, LATER, parcel) == Stored()

            async def erased(path: str, operator: str, value: Any) -> int:
                condition = Condition(path, (), operator, LATER_KINDS[path], (value,))
                deletion = Deletion(table="records", first_us=0, last_us=2 * T0_US, conditions=(condition,))
                return await backend.eraser.delete(deletion)

            assert await erased("other", "eq", "x") == 0
            assert await erased("count", "eq", 2**63 - 1) == 1
            assert await erased("other", "isnull", value=True) == 2
    finally:
        local_bigquery.drop(place)


LATER_KINDS: dict[str, Kind] = {column.name: column.kind for column in LATER.columns}


@pytest.mark.parametrize(
    ("record", "lacking"),
    [
        pytest.param(ParcelLater(id="a", count=1, rest={"count": 2}), {"count"}, id="the rest has such a member"),
        pytest.param(ParcelLater(id="a", weight=float("inf")), {"weight"}, id="JSON has no such number"),
        pytest.param(ParcelLater(id="a", count=1), {"count", "rest"}, id="the table lacks the rest"),
        pytest.param(ParcelLater(id="a", other="x"), {"other"}, id="not promoted"),
    ],
)
def test_a_row_whose_value_has_no_place_waits(record: ParcelLater, lacking: set[str]) -> None:
    """Nothing is overwritten or lost; where it uses no missing column, a row stays as it is."""
    encoder = ProtoRowEncoder(LATER)
    row = encoded(encoder, record, whole_envelope(Message(key=record.id, data=b"", attributes={})))
    assert encoder.fitted(row, frozenset(lacking)) is None
    assert encoder.fitted(row, frozenset({"flag", "text"})) == row
