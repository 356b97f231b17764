"""The indexes of the embedded store change no answer: with them, queries find what they find in the table alone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import nanoarrow  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.ingest.envelope import Message
from app.record import Record
from app.runtime.instants import MINUTE_US, SECOND_US, from_epoch_us
from app.schema.columns import Kind
from app.stores.duckdb import row_index
from app.stores.duckdb.store import EmbeddedLimits, EmbeddedStore
from app.stores.query import Condition, Count, Deletion, Export, LookUp, Metric, Query, RowQuery, Statistics
from app.stores.sink import Stored
from app.stores.source import StoreUnavailableError
from app.stores.sql.statement import render
from testing.clock import FakeClock
from tests.contract.stores import RECORDS, T0_US
from tests.encoding import encoded, whole_envelope
from tests.long_form import examples

STEP_US = 20 * SECOND_US
LOOKBACK_US = 3 * STEP_US
SPAN = 12
NAMES = tuple(column.name for column in RECORDS.columns)


class Indexed:
    """A store in memory, with rows at multiples of STEP_US, and the names of its steps."""

    def __init__(self) -> None:
        self.loop = asyncio.Runner()
        self.clock = FakeClock(T0_US)
        self.store: EmbeddedStore = self.loop.run(self._opened())

    async def _opened(self) -> EmbeddedStore:
        return EmbeddedStore.open(":memory:", [RECORDS], self.clock, EmbeddedLimits(lookback_us=LOOKBACK_US))

    async def clear(self) -> None:
        """Remove every row and forget everything."""
        self.store._connection.execute("DELETE FROM records")
        self.store.reader.reset()
        for statement in row_index.index_ddl(RECORDS):
            self.store._connection.execute(statement)
        self.clock._now_us = T0_US

    async def append(self, batch: list[tuple[int, int]]) -> None:
        """Append rows of these keys and ids at the next instant."""
        self.clock._now_us += STEP_US
        appender = self.store.appender(RECORDS)
        rows = [
            encoded(
                appender,
                Record(id=f"id-{record}", timestamp=from_epoch_us(T0_US)),
                whole_envelope(Message(key=f"key-{key}", data=b"", attributes={}, publish_time=from_epoch_us(T0_US))),
            )
            for key, record in batch
        ]
        assert await appender.append(rows) == Stored()

    async def step(self) -> None:
        """Let each index take one chunk."""
        for index in (*self.store.reader._copies.values(), *self.store.reader._ids.values()):
            await index.step()

    async def delete(self, first: int, last: int, record: int | None) -> None:
        """Delete the rows of an id, or all, in a range."""
        conditions = () if record is None else (Condition("id", (), "eq", Kind.STRING, (f"id-{record}",)),)
        first_us, last_us = (T0_US + place * STEP_US + STEP_US // 2 for place in (first - 1, last))
        await self.store.delete(Deletion(table="records", first_us=first_us, last_us=last_us, conditions=conditions))
        if record is None and first == 0:
            await self.store.reader.prune("records", last_us)


@pytest.fixture(scope="module")
def indexed() -> Iterator[Indexed]:
    """Give one store to all examples."""
    found = Indexed()
    yield found
    found.store.close()
    found.loop.close()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build the indexes row by row, so that a step leaves something to do."""
    monkeypatch.setattr(row_index, "_CHUNK_ROWS", 3)
    monkeypatch.setattr(row_index, "_WORTH_ROWS", 1)


BATCHES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=4)
PLACES = st.integers(0, SPAN)
ACTIONS = st.one_of(
    BATCHES.map(lambda batch: ("append", (batch,))),
    st.just(("step", ())),
    st.tuples(PLACES, PLACES, st.none() | st.integers(0, 2)).map(lambda each: ("delete", each)),
)


def queries(from_us: int, to_us: int, limit: int, *, descending: bool) -> list[Query]:
    """Return a query of each kind that an index answers."""
    selected: dict[str, Any] = {"table": "records", "from_us": from_us, "to_us": to_us, "lookback_us": LOOKBACK_US}
    of_one = (Condition("id", (), "eq", Kind.STRING, ("id-1",)),)
    found: list[Query] = [
        LookUp(**selected, columns=NAMES, id_column="id", record_id=f"id-{record}", limit=limit) for record in range(3)
    ]
    for conditions in ((), of_one):
        found += [
            RowQuery(
                **selected,
                columns=NAMES,
                conditions=conditions,
                descending=descending,
                limit=limit,
                candidates=limit + 1,
            ),
            Count(**selected, conditions=conditions),
            Export(**selected, columns=NAMES, conditions=conditions, descending=descending),
            Statistics(
                **selected,
                conditions=conditions,
                by="id",
                metrics=(Metric("max:delay", "max", "delay", Kind.FLOAT64, is_computed=True),),
                first_us=T0_US,
                bucket_us=MINUTE_US,
                max_groups=2,
            ),
        ]
    return found


async def both(store: EmbeddedStore, query: Query) -> tuple[Any, Any]:
    """Return the answer of the service, and that of the table alone."""
    if isinstance(query, Export):
        pieces = [
            b"".join([piece async for piece in each])
            for each in (store.arrow(query), store._queries.arrow(render(query)))
        ]
        one, other = (nanoarrow.ArrayStream.from_readable(each).read_all().to_pylist() for each in pieces)
        return one, other
    return (await store.rows(query)).rows, (await store.read(render(query))).rows


def ordered(query: Query, rows: list[Any]) -> list[Any]:
    """Return rows whose order says nothing in one."""
    return sorted(rows, key=repr) if isinstance(query, Statistics) else rows


def appended(*keys: int) -> list[tuple[str, tuple[Any, ...]]]:
    """Return an append for each key, of a row of id 1."""
    return [("append", ([(key, 1)],)) for key in keys]


WHOLE: dict[str, Any] = {"edges": (0, SPAN), "limit": 4, "descending": False}


@example(actions=[*appended(1, 1, 2), ("step", ()), ("delete", (1, 1, None))], steps=0, **WHOLE).via("a copy is left")
@example(actions=[("append", ([(1, 1), (1, 1)],))], steps=0, **WHOLE).via("equal rows in one append")
@example(actions=appended(1, 2, 1, 2, 1, 2, 1, 2), steps=5, **WHOLE).via("copies of rows in another chunk")
@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actions=st.lists(ACTIONS, max_size=14),
    edges=st.tuples(PLACES, PLACES),
    limit=st.integers(1, 4),
    steps=st.integers(0, 12),
    descending=st.booleans(),
)
def test_an_index_changes_no_answer(
    indexed: Indexed,
    actions: list[tuple[str, tuple[Any, ...]]],
    edges: tuple[int, int],
    limit: int,
    steps: int,
    *,
    descending: bool,
) -> None:
    """Whatever is appended, indexed and deleted, and in whatever order."""

    async def play() -> None:
        await indexed.clear()
        for name, arguments in actions:
            act: Callable[..., Awaitable[None]] = getattr(indexed, name)
            await act(*arguments)
        indexed.clock._now_us = T0_US + (SPAN + 2) * STEP_US  # everything is settled
        for _ in range(steps):
            await indexed.step()
        from_us, to_us = (T0_US + place * STEP_US for place in sorted(edges))
        for query in queries(from_us, to_us + 1, limit, descending=descending):
            with_index, alone = await both(indexed.store, query)
            assert ordered(query, with_index) == ordered(query, alone), query

    indexed.loop.run(play())


def test_a_full_scan_is_needed_by_no_query_of_a_covered_range(indexed: Indexed) -> None:
    """A count of what is covered compares no keys, and a look-up reads only the minutes of its id."""

    async def play() -> None:
        await indexed.clear()
        for number in range(12):
            await indexed.append([(number, number % 3)])
        while await indexed.store.reader._copies["records"].step():
            pass
        while await indexed.store.reader._ids["records"].step():
            pass
        query = Count(table="records", from_us=T0_US, to_us=T0_US + 12 * STEP_US, lookback_us=LOOKBACK_US)
        assert "EXISTS" in render(query).sql
        assert "EXISTS" not in (await indexed.store.explain(query)).text
        hits = await indexed.store.reader._hits(
            LookUp(
                table="records",
                from_us=0,
                to_us=T0_US,
                lookback_us=0,
                columns=NAMES,
                id_column="id",
                record_id="id-9",
                limit=1,
            ),
            0,
            indexed.clock.now_us(),
        )
        assert hits == []

    indexed.loop.run(play())


def test_a_query_that_a_deletion_overtakes_reads_the_table(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy whose original is deleted while a count runs is counted: the count runs once more."""

    async def play() -> int:
        await indexed.clear()
        await indexed.append([(1, 1)])
        await indexed.append([(1, 1)])
        await indexed.append([(2, 2)])
        indexed.clock._now_us += LOOKBACK_US
        query = Count(table="records", from_us=T0_US, to_us=indexed.clock.now_us(), lookback_us=LOOKBACK_US)
        assert (await indexed.store.rows(query)).rows == [{"records": 2}]
        rows, overtaken = indexed.store._queries.rows, False

        async def after_a_deletion(statement: Any) -> Any:
            nonlocal overtaken
            if not overtaken:
                overtaken = True
                await indexed.delete(0, 1, None)
            return await rows(statement)

        monkeypatch.setattr(indexed.store._queries, "rows", after_a_deletion)
        return int((await indexed.store.rows(query)).rows[0]["records"])

    assert indexed.loop.run(play()) == 2


def test_an_index_of_ids_that_is_full_forgets_the_oldest(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older ids are still found, in the table."""

    async def play() -> list[str]:
        await indexed.clear()
        index = indexed.store.reader._ids["records"]
        monkeypatch.setattr(index, "_max_rows", 8)
        for number in range(20):
            await indexed.append([(number, number)])
            indexed.clock._now_us += MINUTE_US
        for _ in range(20):
            await index.step()
        assert index._rows <= 8
        return [
            row["id"]
            for number in range(20)
            for row in (
                await indexed.store.rows(
                    LookUp(
                        table="records",
                        from_us=0,
                        to_us=2 * T0_US,
                        lookback_us=0,
                        columns=NAMES,
                        id_column="id",
                        record_id=f"id-{number}",
                        limit=1,
                    )
                )
            ).rows
        ]

    assert indexed.loop.run(play()) == [f"id-{number}" for number in range(20)]


def test_a_failing_scan_leaves_the_query_to_the_table(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is not needed for an answer."""

    async def refuse(*_: Any) -> list[tuple[Any, ...]]:
        raise StoreUnavailableError

    async def play() -> list[Any]:
        await indexed.clear()
        await indexed.append([(1, 1)])
        indexed.clock._now_us += 2 * LOOKBACK_US
        monkeypatch.setattr(indexed.store.reader._copies["records"], "_run", refuse)
        query = Count(table="records", from_us=T0_US, to_us=indexed.clock.now_us(), lookback_us=LOOKBACK_US)
        return (await indexed.store.rows(query)).rows

    assert indexed.loop.run(play()) == [{"records": 1}]
