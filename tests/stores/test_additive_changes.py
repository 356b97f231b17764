"""Law: whatever additive changes a type makes, and whatever images and producers do, what was published is read.

An image declares some members, and keeps all others of the top level in the rest; nested ones are sent only where the
image declares them. The table gains columns when a newer image opens the file (embedded), or when Terraform runs, at
any time (BigQuery). The last reader declares every member. Some of them are promoted; it reads the others from their
column or from the rest.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
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
from app.runtime.instants import TimeRange
from app.schema.table import Table, records_table, rejects_table
from app.stores.backend import Backend, open_backend
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.table_layout import bigquery_schema
from app.stores.duckdb.store import EmbeddedStore
from app.stores.query import Rows
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
    "tags": (list[str], []),
    "nested.one": (str | None, None),
    "nested.many": (list[int], []),
    "parts.one": (str | None, None),
    "parts.two": (int | None, None),
}
_INSTANTS = [datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), datetime(2026, 1, 31, 12, tzinfo=UTC)]
VALUES = {
    "text": st.sampled_from(["", "x", "1"]),
    "number": st.integers(-1, 1) | st.just(2**53 + 1),
    "at": st.sampled_from(_INSTANTS),
    "plain": st.sampled_from(["", "y"]),
    "tags": st.lists(st.sampled_from("ab"), min_size=1, max_size=2),
    "nested.one": st.sampled_from(["", "y"]),
    "nested.many": st.lists(st.integers(0, 1), min_size=1, max_size=2),
    "parts.one": st.sampled_from(["", "z"]),
    "parts.two": st.integers(0, 1),
}
NAMES = frozenset(MEMBERS)
TOP = frozenset(name for name in NAMES if "." not in name)
Image = frozenset[str]
"""The members that it declares."""
Published = dict[str, Any]
"""A record: its members by path, those without a value left out."""


@cache
def table_of(members: Image) -> Table:
    """Return the table of an image that declares these members."""

    def fields(prefix: str) -> list[Any]:
        inner = [each.removeprefix(prefix) for each in sorted(members) if each.startswith(prefix)]
        return [(name, *MEMBERS[prefix + name]) for name in inner if "." not in name]

    def struct(name: str) -> Any:
        # A nested Struct begins with one field: BigQuery and DuckDB have no empty ones.
        declared = [("zero", int | None, None), *fields(name)]
        return msgspec.defstruct("Nested", declared, kw_only=True, forbid_unknown_fields=True)

    rest: Any = ("rest", Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})], {})
    nested: list[Any] = [("nested", struct("nested.") | None, None), ("parts", list[struct("parts.")], [])]  # type: ignore[misc] # made here
    return records_table(msgspec.defstruct("Image", [("id", str), rest, *fields(""), *nested], kw_only=True))


def row_of(appender: Any, members: Image, key: str, published: Published) -> bytes:
    """Return the row of a record as an image stores it: undeclared members are in its rest."""
    plain: dict[str, Any] = {"id": key, "rest": {}}
    for path, value in published.items():
        outer, _, name = path.rpartition(".")
        match outer:
            case "":
                (plain if name in members else plain["rest"])[name] = msgspec.to_builtins(value)
            case "nested":
                plain.setdefault("nested", {})[name] = value
            case _:
                plain.setdefault("parts", [{}])[0][name] = value
    record = msgspec.convert(plain, table_of(members).record_type)
    return encoded(appender, record, whole_envelope(Message(key=key, data=b"", attributes={})))


async def values_read(runner: QueryRunner) -> Counter[tuple[str, str, str]]:
    """Return every (id, member, value) that a reader of all members finds."""
    names = tuple(column.name for column in table_of(NAMES).columns)
    window: dict[str, Any] = {"within": TimeRange(0, 4 * T0_US), "lookback_us": 0, "limit": 99}
    rows = (await runner.rows(Rows(table="records", columns=names, **window))).rows
    return Counter((row["id"], name, repr(value)) for row in rows for name, value in _members(row))


def _members(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    kept = msgspec.json.decode(row["rest"]) if row["rest"] is not None else {}
    assert kept.keys() <= {"plain", "tags"}, "a promoted member is seen in the rest, too"
    nested = [("nested", row["nested"] or {}), *(("parts", part) for part in row["parts"])]
    flat = row | {f"{outer}.{name}": value for outer, fields in nested for name, value in fields.items()}
    values = {name: flat[name] for name in NAMES if flat.get(name) not in (None, [])}
    assert not values.keys() & kept.keys()
    yield from (values | kept).items()


def published_by(steps: list[tuple[Image, Published, Any]]) -> Counter[tuple[str, str, str]]:
    """Return what was published."""
    return Counter(
        (str(number), name, repr(value))
        for number, (_, published, _) in enumerate(steps)
        for name, value in published.items()
    )


def steps_of(members: Image) -> st.SearchStrategy[list[tuple[Image, Published, Image | None]]]:
    """Draw the image that a producer reaches, what it publishes, and the columns that the table gains afterwards."""
    images = st.frozensets(st.sampled_from(sorted(members)))

    def step(image: Image) -> st.SearchStrategy[tuple[Image, Published, Image | None]]:
        sent = {name: VALUES[name] for name in sorted(members) if name in image | TOP}
        return st.tuples(st.just(image), st.fixed_dictionaries({}, optional=sent), st.none() | images)

    return st.lists(images.flatmap(step), min_size=2, max_size=4)


@settings(max_examples=examples(24), deadline=None)
@given(steps_of(NAMES))
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


def grow(place: TableAddress, declared: Table) -> None:
    """Add the columns that the table of records lacks, as Terraform does."""
    access = BigQueryClients(place)
    live = access.client().get_table(place.table_id("records"))
    known = {field.name for field in live.schema}
    added = [each for each in bigquery_schema(declared) if each["name"] not in known]
    live.schema = [*live.schema, *map(bigquery.SchemaField.from_api_repr, added)]
    access.client().update_table(live, ["schema"])
    access.close()


async def append(backend: Backend, members: Image, key: str, published: Published) -> object:
    """Append a record through an image, which checks the table first."""
    appender = backend.appender(table_of(members))
    await appender.check()
    return await appender.append([row_of(appender, members, key, published)])


async def run_over_bigquery(double: Double, steps: list[tuple[Image, Published, Image | None]]) -> None:
    """Run images beside each other; a row waits only for a column that is not promoted."""
    place, clock = double.fresh(table_of(frozenset()), rejects_table()), FakeClock(T0_US)
    fleet = {
        members: open_backend(_settings(place), [table_of(members), rejects_table()], clock)
        for members in {TOP, *(members for members, *_ in steps)}
    }
    waiting = list[tuple[Image, str, Published]]()
    try:
        for number, (members, published, gained) in enumerate(steps):
            outcome = await append(fleet[members], members, str(number), published)
            if isinstance(outcome, RowsHeld):
                assert published.keys() & {"plain", "tags"}
                waiting.append((members, str(number), published))
            else:
                assert outcome == Stored()
            if gained is not None:
                await asyncio.to_thread(grow, place, table_of(gained))
            await clock.advance(1)
        await asyncio.to_thread(grow, place, table_of(TOP))
        for members, key, published in waiting:
            assert await append(fleet[members], members, key, published) == Stored()
        await fleet[TOP].appender(table_of(TOP)).check()
        assert await values_read(fleet[TOP].runner) == published_by(steps)
    finally:
        for backend in fleet.values():
            await backend.close()
        double.drop(place)


@settings(max_examples=examples(8), deadline=None)
@given(steps_of(TOP))
def test_bigquery_reads_as_it_was_published(local_bigquery: Double, steps: list[Any]) -> None:
    """Images run side by side, and Terraform adds columns of the top level at any moment."""
    asyncio.run(run_over_bigquery(local_bigquery, steps))
