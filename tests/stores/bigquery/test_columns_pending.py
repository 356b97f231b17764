"""A table in BigQuery that lacks columns of the record type: every query, before and after it gets them.

Over local-bigquery, which refuses a writer schema with a field that the table lacks, and a query that names it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.ingest.decode.envelope import Message
from app.query.answer.arrow import rows_of_arrow
from app.query.request.stats import COUNT
from app.runtime.instants import TimeRange
from app.schema.columns import Kind
from app.schema.table import Table, records_table, rejects_table
from app.stores.backend import Backend, open_backend
from app.stores.bigquery.client import TableAddress
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.query import Condition, Count, Deletion, LookUp, Metric, Query, Rows, Statistics
from app.stores.sink import ColumnsPending, RowsHeld, Stored
from sluice.testing.clock import FakeClock
from tests.contract.bigquery import _settings
from tests.contract.stores import T0_US
from tests.encoding import encoded, whole_envelope
from tests.stores.test_additive_changes import grow
from tests.support.local_bigquery import Double

_Promoted = Meta(extra={"sluice": ["promoted"]})
_ID = Annotated[str, Meta(extra={"sluice": ["id"]})]
_Rest = Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})]


class Parcel(msgspec.Struct, kw_only=True):
    """A record, as it began."""

    id: _ID
    rest: _Rest = {}


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a parcel has gained."""

    name: str | None = None
    codes: list[str] = []


class ParcelLater(msgspec.Struct, kw_only=True):
    """The record, a few images later: columns before and after those of the first image, two of them promoted."""

    price: float | None = None
    id: _ID
    notes: dict[str, Any] | None = None
    rest: _Rest = {}
    count: Annotated[int | None, _Promoted] = None
    weight: Annotated[float | None, _Promoted] = None
    stops: list[Stop] = []
    raw: bytes | None = None


FIRST, LATER = records_table(Parcel), records_table(ParcelLater)
NAMES = tuple(column.name for column in LATER.columns)
KINDS = {column.name: column.kind for column in LATER.columns}
_RANGE: dict[str, Any] = {"table": "records", "within": TimeRange(T0_US, 2 * T0_US), "lookback_us": 0}
PAGE = Rows(**_RANGE, columns=NAMES, limit=100)
OLD = ParcelLater(id="a")
NEW = ParcelLater(id="b", price=1.5, notes={"n": [1]}, stops=[Stop("C1")], raw=b"\x00")


@asynccontextmanager
async def opened(place: TableAddress, table: Table, clock: FakeClock) -> AsyncIterator[Backend]:
    """Open the dataset as an image whose type makes `table`."""
    backend = open_backend(_settings(place), [table, rejects_table()], clock)
    try:
        yield backend
    finally:
        await backend.close()


def row_of(appender: Any, record: Any) -> bytes:
    """Return the row of a record."""
    return encoded(appender, record, whole_envelope(Message(key=record.id, data=b"", attributes={})))


async def append(backend: Backend, table: Table, record: Any) -> object:
    """Append one record and return the outcome."""
    appender = backend.appender(table)
    return await appender.append([row_of(appender, record)])


def stored(record: ParcelLater) -> dict[str, Any]:
    """Return a record as a query returns it."""
    notes = None if record.notes is None else msgspec.Raw(msgspec.json.encode(record.notes))
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain | {"notes": notes, "raw": record.raw, "rest": msgspec.Raw(b"{}")}


def record_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the record's columns of a row."""
    return {column.name: row[column.name] for column in LATER.record}


async def answers(backend: Backend) -> dict[str, Any]:
    """Return the answers to each kind of query."""
    runner = backend.runner

    async def records(query: Query) -> list[dict[str, Any]]:
        return [record_of(row) for row in (await runner.rows(query)).rows]

    async def count(operator: str, value: float) -> int:
        conditions = (Condition("price", (), operator, Kind.FLOAT64, (value,)),)
        return int((await runner.rows(Count(**_RANGE, conditions=conditions))).rows[0]["records"])

    highest = Metric("max:price", "max", "price", Kind.FLOAT64)
    statistics = Statistics(
        **_RANGE, first_us=T0_US, bucket_us=2 * T0_US, max_groups=5, by="price", metrics=(COUNT, highest)
    )
    groups = [(row["group_key"], row["records"], row["metric_1"]) for row in (await runner.rows(statistics)).rows]
    pieces = runner.arrow(Rows(**_RANGE, columns=NAMES))
    return {
        "page": await records(PAGE),
        "by id": await records(LookUp(**_RANGE, columns=NAMES, id_column="id", record_id="a", limit=5)),
        "without a price": await count("isnull", value=True),
        "price below 9": await count("lt", 9.0),
        "stats": sorted(groups, key=str),
        "export": [record_of(row) async for part in rows_of_arrow(LATER.columns, pieces) for row in part],
    }


async def test_every_read_goes_on_before_and_after_the_table_has_the_columns(local_bigquery: Double) -> None:
    """Null and empty lists before; an older image beside the new one; and no restart in between."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as new, opened(place, FIRST, clock) as old:
            found = await new.appender(LATER).check()
            assert isinstance(found, ColumnsPending)
            assert found.missing == {"price", "notes", "count", "weight", "stops", "raw"}
            assert await old.appender(FIRST).check() is None
            assert await append(new, LATER, OLD) == Stored()
            assert isinstance(await append(new, LATER, NEW), RowsHeld)
            assert (await new.runner.explain(PAGE)).text
            before = stored(OLD)
            assert await answers(new) == {
                "page": [before],
                "by id": [before],
                "without a price": 1,
                "price below 9": 0,
                "stats": [(None, 1, None)],
                "export": [before],
            }
            await asyncio.to_thread(grow, place, LATER)
            assert await new.appender(LATER).check() is None
            await clock.advance(1)
            assert await append(new, LATER, NEW) == Stored()
            assert await append(old, FIRST, Parcel(id="c")) == Stored()
            after = await answers(new)
            third = stored(ParcelLater(id="c"))
            assert sorted(after["page"], key=str) == sorted([before, stored(NEW), third], key=str)
            assert sorted(after["export"], key=str) == sorted(after["page"], key=str)
            assert (after["without a price"], after["price below 9"]) == (2, 1)
            assert after["stats"] == [(1.5, 1, 1.5), (None, 2, None)]
    finally:
        local_bigquery.drop(place)


async def test_a_reader_learns_from_the_query_itself(local_bigquery: Double) -> None:
    """An instance that only reads has made no check: a query that fails over a column makes one, and is run again."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as reader:
            assert (await reader.runner.rows(PAGE)).rows == []
            await asyncio.to_thread(grow, place, LATER)
            await clock.advance(16)  # half of the settle time: what was learned is too old for a settled read
            async with opened(place, LATER, clock) as writer:
                assert await append(writer, LATER, NEW) == Stored()
            (row,) = (await reader.runner.rows(PAGE)).rows
            assert record_of(row) == stored(NEW)
    finally:
        local_bigquery.drop(place)


async def test_an_erasure_may_name_a_column_that_the_table_lacks(local_bigquery: Double) -> None:
    """It matches nothing, unless the value rides in the rest; `isnull` matches every row."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as backend:
            assert isinstance(await backend.appender(LATER).check(), ColumnsPending)
            for parcel in (ParcelLater(id="full", count=2**63 - 1), ParcelLater(id="a"), ParcelLater(id="b")):
                assert await append(backend, LATER, parcel) == Stored()

            async def erased(path: str, operator: str, value: Any) -> int:
                condition = Condition(path, (), operator, KINDS[path], (value,))
                deletion = Deletion(table="records", first_us=0, last_us=2 * T0_US, conditions=(condition,))
                return await backend.eraser.delete(deletion)

            assert await erased("raw", "eq", b"x") == 0
            assert await erased("count", "eq", 2**63 - 1) == 1
            assert await erased("raw", "isnull", value=True) == 2
    finally:
        local_bigquery.drop(place)


@pytest.mark.parametrize(
    ("record", "lacking"),
    [
        pytest.param(ParcelLater(id="a", count=1, rest={"count": 2}), {"count"}, id="the rest has such a member"),
        pytest.param(ParcelLater(id="a", weight=float("inf")), {"weight"}, id="JSON has no such number"),
        pytest.param(ParcelLater(id="a", count=1), {"count", "rest"}, id="the table lacks the rest"),
        pytest.param(ParcelLater(id="a", raw=b"x"), {"raw"}, id="not promoted"),
    ],
)
def test_a_row_whose_value_has_no_place_waits(record: ParcelLater, lacking: set[str]) -> None:
    """Nothing is overwritten or lost; where it uses no missing column, a row stays as it is."""
    encoder = ProtoRowEncoder(LATER)
    row = row_of(encoder, record)
    assert encoder.fitted(row, frozenset(lacking)) is None
    assert encoder.fitted(row, frozenset({"stops"})) == row
