"""Law: with promotion, whatever images and producers do, what was published equals what is read, over both stores.

An image declares some members, and keeps all others in the rest. The table gains columns at any time. The last reader
declares every member; one of them is not promoted, so it reads that one from the column or from the rest.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from google.cloud import bigquery
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from app.ingest.decode.envelope import Message
from app.runtime.clock import SystemClock
from app.runtime.time_range import TimeRange
from app.schema.table import Table, records_table, rejects_table
from app.stores.backend import Backend, open_backend
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.table_layout import bigquery_schema
from app.stores.duckdb.store import EmbeddedStore
from app.stores.query import RowQuery
from app.stores.sink import RowsHeld, Stored
from app.stores.source import QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.bigquery import _settings
from tests.contract.stores import T0_US
from tests.encoding import encoded, whole_envelope
from tests.long_form import examples
from tests.support.local_bigquery import Double

_PROMOTED = Meta(extra={"sluice": ["promoted"]})
MEMBERS: dict[str, Any] = {
    "text": (Annotated[str | None, _PROMOTED], None),
    "number": (Annotated[int | None, _PROMOTED], None),
    "at": (Annotated[datetime | None, _PROMOTED], None),
    "plain": (str | None, None),
}
VALUES = {
    "text": st.sampled_from(["", "x", "1"]),
    "number": st.integers(-1, 1) | st.just(2**53 + 1),
    "at": st.sampled_from([datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(2026, 1, 31, 12, tzinfo=UTC)]),
    "plain": st.sampled_from(["", "y"]),
}
NAMES = frozenset(MEMBERS)
Published = dict[str, Any]
IMAGES = st.frozensets(st.sampled_from(sorted(NAMES)))
PUBLICATIONS = st.fixed_dictionaries({}, optional=VALUES)
STEPS = st.lists(st.tuples(IMAGES, PUBLICATIONS, st.none() | IMAGES), min_size=2, max_size=4)
"""The image that a producer reaches, what it publishes, and the columns that the table gains afterwards."""


@cache
def table_of(members: frozenset[str]) -> Table:
    """Return the table of an image that declares these members."""
    rest: Any = ("rest", Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})], {})
    fields = [("id", str), rest, *((name, *MEMBERS[name]) for name in sorted(members))]
    return records_table(msgspec.defstruct("Image", fields, kw_only=True))


def row_of(appender: Any, members: frozenset[str], key: str, published: Published) -> bytes:
    """Return the row of a record, whose undeclared members are in its rest."""
    declared = {name: value for name, value in published.items() if name in members}
    rest = msgspec.to_builtins({name: value for name, value in published.items() if name not in members})
    record = table_of(members).record_type(id=key, rest=rest, **declared)
    return encoded(appender, record, whole_envelope(Message(key=key, data=b"", attributes={})))


async def values_read(runner: QueryRunner) -> Counter[tuple[str, str, str]]:
    """Return every (id, member, value) that a reader of all members finds."""
    names = tuple(column.name for column in table_of(NAMES).columns)
    window: dict[str, Any] = {"within": TimeRange(0, 4 * T0_US), "lookback_us": 0, "limit": 99, "candidates": 99}
    rows = (await runner.rows(RowQuery(table="records", columns=names, **window))).rows
    found = Counter[tuple[str, str, str]]()
    for row in rows:
        kept = msgspec.json.decode(row["rest"]) if row["rest"] is not None else {}
        assert not {name for name in kept if name != "plain"}, "a promoted member is seen in the rest, too"
        values = {name: row[name] for name in NAMES if row[name] is not None}
        assert not values.keys() & kept.keys()
        found.update((row["id"], name, repr(value)) for name, value in (values | kept).items())
    return found


def published_by(steps: list[tuple[frozenset[str], Published, Any]]) -> Counter[tuple[str, str, str]]:
    """Return what was published."""
    return Counter(
        (str(number), name, repr(value))
        for number, (_, published, _) in enumerate(steps)
        for name, value in published.items()
    )


@settings(max_examples=examples(24), deadline=None)
@given(STEPS)
def test_the_embedded_file_reads_as_it_was_published(tmp_path_factory: Any, steps: list[Any]) -> None:
    """Images open one file in turn, older after newer and newer after older."""
    path = str(Path(tmp_path_factory.mktemp("law")) / "data.duckdb")
    for number, (members, published, _) in enumerate(steps):
        store = EmbeddedStore.open(path, [table_of(members)], SystemClock())
        appender = store.appender(table_of(members))
        row = row_of(appender, members, str(number), published)
        assert store._insert("records", appender._insert_sql, number, [row]) == Stored()
        store.close()
    store = EmbeddedStore.open(path, [table_of(NAMES)], SystemClock())
    assert asyncio.run(values_read(store)) == published_by(steps)
    store.close()


def grow(place: TableAddress, members: frozenset[str]) -> None:
    """Add columns, as Terraform does."""
    access = BigQueryClients(place)
    live = access.client().get_table(place.table_id("records"))
    known = {field.name for field in live.schema}
    declared = [each for each in bigquery_schema(table_of(members)) if each["name"] not in known]
    live.schema = [*live.schema, *map(bigquery.SchemaField.from_api_repr, declared)]
    access.client().update_table(live, ["schema"])
    access.close()


async def append(backend: Backend, members: frozenset[str], key: str, published: Published) -> object:
    """Append a record through an image, which checks the table first."""
    appender = backend.appender(table_of(members))
    await appender.check()
    return await appender.append([row_of(appender, members, key, published)])


async def run_over_bigquery(double: Double, steps: list[tuple[frozenset[str], Published, Any]]) -> None:
    """Run images beside each other; a row waits only for a column that is not promoted."""
    place, clock = double.fresh(table_of(frozenset()), rejects_table()), FakeClock(T0_US)
    fleet = {
        members: open_backend(_settings(place), [table_of(members), rejects_table()], clock) for members, *_ in steps
    }
    fleet.setdefault(NAMES, open_backend(_settings(place), [table_of(NAMES), rejects_table()], clock))
    waiting = list[tuple[frozenset[str], str, Published]]()
    try:
        for number, (members, published, gained) in enumerate(steps):
            outcome = await append(fleet[members], members, str(number), published)
            if isinstance(outcome, RowsHeld):
                assert "plain" in published
                waiting.append((members, str(number), published))
            else:
                assert outcome == Stored()
            if gained is not None:
                await asyncio.to_thread(grow, place, gained)
            await clock.advance(1)
        await asyncio.to_thread(grow, place, NAMES)
        for members, key, published in waiting:
            assert await append(fleet[members], members, key, published) == Stored()
        await fleet[NAMES].appender(table_of(NAMES)).check()
        assert await values_read(fleet[NAMES].runner) == published_by(steps)
    finally:
        for backend in fleet.values():
            await backend.close()
        double.drop(place)


@settings(max_examples=examples(12), deadline=None)
@given(STEPS)
def test_bigquery_reads_as_it_was_published(local_bigquery: Double, steps: list[Any]) -> None:
    """Images run side by side, and Terraform adds columns at any moment."""
    asyncio.run(run_over_bigquery(local_bigquery, steps))
