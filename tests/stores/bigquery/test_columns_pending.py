"""A table in BigQuery that lacks columns of the record type: every query, before and after it gets them.

Over local-bigquery, which refuses a writer schema with a field that the table lacks, and a query that names it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
from google.cloud import bigquery

from app.ingest.decode.envelope import Message
from app.query.answer.arrow import rows_of_arrow
from app.query.request.stats import COUNT
from app.runtime.time_range import TimeRange
from app.schema.columns import Kind
from app.schema.table import Table, records_table, rejects_table
from app.stores.backend import Backend, open_backend
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.table_layout import bigquery_schema
from app.stores.query import Condition, Count, Export, LookUp, Metric, Query, RowQuery, Statistics
from app.stores.sink import ColumnsPending, RowsHeld, Stored
from sluice.testing.clock import FakeClock
from tests.contract.bigquery import _settings
from tests.contract.stores import T0_US
from tests.encoding import encoded, whole_envelope
from tests.journeys import Gate, Journey, JourneyLater, Leg, LegLater
from tests.support.local_bigquery import Double

FIRST, LATER = records_table(Journey), records_table(JourneyLater)
NAMES = tuple(column.name for column in LATER.columns)
_RANGE: dict[str, Any] = {"table": "records", "within": TimeRange(T0_US, 2 * T0_US), "lookback_us": 0}
PAGE = RowQuery(**_RANGE, columns=NAMES, limit=100, candidates=100)
OLD = JourneyLater(id="a", first=LegLater(origin="LHR"), legs=[LegLater(origin="CDG"), LegLater(origin="FRA")])
NEW = JourneyLater(id="b", price=1.5, notes={"n": [1]}, stops=[Gate("C1")], legs=[LegLater(origin="SFO")], raw=b"\x00")
OLDER = LegLater(origin="JFK", tags=["t"])
NESTED = {"first.gate", "first.tags", "legs.gate", "legs.tags"}
_SOME = ("price", "ingest_time", "delivery_key")


@asynccontextmanager
async def opened(place: TableAddress, table: Table, clock: FakeClock) -> AsyncIterator[Backend]:
    """Open the dataset as an image whose type makes `table`."""
    backend = open_backend(_settings(place), [table, rejects_table()], clock)
    try:
        yield backend
    finally:
        await backend.close()


async def append(backend: Backend, table: Table, record: Any) -> object:
    """Append one record and return the outcome."""
    appender = backend.appender(table)
    return await appender.append(
        [encoded(appender, record, whole_envelope(Message(key=record.id, data=b"", attributes={})))]
    )


def grow(place: TableAddress) -> None:
    """Add the columns of the later type, as Terraform does; the fields of STRUCTs are still to come."""
    access = BigQueryClients(place)
    live = access.client().get_table(place.table_id("records"))
    known = {field.name for field in live.schema}
    added = [bigquery.SchemaField.from_api_repr(each) for each in bigquery_schema(LATER) if each["name"] not in known]
    live.schema = [*live.schema, *added]
    access.client().update_table(live, ["schema"])
    access.close()


def stored(record: JourneyLater) -> dict[str, Any]:
    """Return a record as a query returns it."""
    notes = None if record.notes is None else msgspec.Raw(msgspec.json.encode(record.notes))
    plain: dict[str, Any] = msgspec.to_builtins(record)
    return plain | {"notes": notes, "raw": record.raw}


def record_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the record's columns of a row."""
    return {column.name: row[column.name] for column in LATER.record}


async def answers(backend: Backend, *questions: str) -> dict[str, Any]:
    """Return the answers to some questions, or to each kind of query."""
    runner, changed = backend.runner, msgspec.structs.replace

    async def rows(query: Query) -> list[dict[str, Any]]:
        return (await runner.rows(query)).rows

    async def records(query: Query) -> list[dict[str, Any]]:
        return [record_of(row) for row in await rows(query)]

    async def some_columns() -> list[object]:
        return [row["price"] for row in await rows(changed(PAGE, columns=_SOME))]

    async def count(path: str, operator: str, value: float) -> int:
        conditions = (Condition(path, (), operator, Kind.FLOAT64, (value,)),)
        return int((await rows(Count(**_RANGE, conditions=conditions)))[0]["records"])

    async def stats() -> list[tuple[object, ...]]:
        highest = Metric("max:price", "max", "price", Kind.FLOAT64)
        query = Statistics(
            **_RANGE, first_us=T0_US, bucket_us=2 * T0_US, max_groups=5, by="price", metrics=(COUNT, highest)
        )
        groups = [(row["group_key"], row["records"], row["metric_1"]) for row in await rows(query)]
        return sorted(groups, key=str)

    async def export() -> list[dict[str, Any]]:
        pieces = runner.arrow(Export(**_RANGE, columns=NAMES))
        return [record_of(row) async for part in rows_of_arrow(LATER.columns, pieces) for row in part]

    look_up = LookUp(**_RANGE, columns=NAMES, id_column="id", record_id="a", limit=5)
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "page": partial(records, PAGE),
        "some columns": some_columns,
        "by id": partial(records, look_up),
        "without a price": partial(count, "price", "isnull", value=True),
        "price below 9": partial(count, "price", "lt", 9.0),
        "price not 9": partial(count, "price", "ne", 9.0),
        "without a gate": partial(count, "first.gate.name", "isnull", value=True),
        "stats": stats,
        "export": export,
    }
    return {question: await ways[question]() for question in questions or ways}


async def test_every_read_goes_on_before_and_after_the_table_has_the_columns(local_bigquery: Double) -> None:
    """Null and empty lists before, at any depth; an older image beside the new one; and no restart in between."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as new, opened(place, FIRST, clock) as old:
            found = await new.appender(LATER).check()
            assert isinstance(found, ColumnsPending)
            assert found.missing == NESTED | {"price", "notes", "stops", "raw"}
            assert await old.appender(FIRST).check() is None
            assert await append(new, LATER, OLD) == Stored()
            assert isinstance(await append(new, LATER, NEW), RowsHeld)
            assert (await new.runner.explain(PAGE)).text
            before = stored(OLD)
            assert await answers(new) == {
                "page": [before],
                "some columns": [None],
                "by id": [before],
                "without a price": 1,
                "price below 9": 0,
                "price not 9": 1,
                "without a gate": 1,
                "stats": [(None, 1, None)],
                "export": [before],
            }
            await asyncio.to_thread(grow, place)
            found = await new.appender(LATER).check()
            assert isinstance(found, ColumnsPending)
            assert found.missing == NESTED
            await clock.advance(1)
            assert isinstance(await append(new, LATER, msgspec.structs.replace(NEW, first=OLDER)), RowsHeld)
            assert await append(new, LATER, NEW) == Stored()
            assert await append(old, FIRST, Journey("c", Leg("LHR"))) == Stored()
            after = await answers(new, "page", "export", "without a price", "price below 9", "without a gate", "stats")
            third = stored(JourneyLater(id="c", first=LegLater(origin="LHR")))
            assert sorted(after["page"], key=str) == sorted([before, stored(NEW), third], key=str)
            assert sorted(after["export"], key=str) == sorted(after["page"], key=str)
            assert after["without a price"] == 2
            assert after["price below 9"] == 1
            assert after["without a gate"] == 3
            assert after["stats"] == [(1.5, 1, 1.5), (None, 2, None)]
    finally:
        local_bigquery.drop(place)


async def test_a_reader_learns_from_the_query_itself(local_bigquery: Double) -> None:
    """An instance that only reads has made no check: a query that fails over a column makes one, and is run again."""
    place, clock = local_bigquery.fresh(FIRST, rejects_table()), FakeClock(T0_US)
    try:
        async with opened(place, LATER, clock) as reader:
            assert (await reader.runner.rows(PAGE)).rows == []
            await asyncio.to_thread(grow, place)
            await clock.advance(16)  # half of the settle time: what was learned is too old for a settled read
            async with opened(place, LATER, clock) as writer:
                assert await append(writer, LATER, NEW) == Stored()
            (row,) = (await reader.runner.rows(PAGE)).rows
            assert record_of(row) == stored(NEW)
    finally:
        local_bigquery.drop(place)
