"""The indexes of the embedded store change no answer: with them, queries find what they find in the table alone."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import nanoarrow  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.runtime.instants import MINUTE_US
from app.runtime.time_range import TimeRange
from app.stores.duckdb import row_index
from app.stores.duckdb.store import EmbeddedStore
from app.stores.query import Count, Export, LookUp, Query, Statistics
from app.stores.source import StoreUnavailableError
from app.stores.sql.statement import render
from tests.contract.stores import T0_US
from tests.long_form import examples
from tests.stores.duckdb.indexed import LOOKBACK_US, NAMES, SPAN, STEP_US, Indexed, queries


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
        query = Count(table="records", within=TimeRange(T0_US, T0_US + 12 * STEP_US), lookback_us=LOOKBACK_US)
        assert "EXISTS" in render(query).sql
        assert "EXISTS" not in (await indexed.store.explain(query)).text
        hits = await indexed.store.reader._hits(
            LookUp(
                table="records",
                within=TimeRange(0, T0_US),
                lookback_us=0,
                columns=NAMES,
                id_column="id",
                record_id="id-9",
                limit=1,
            ),
            TimeRange(0, indexed.clock.now_us()),
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
        query = Count(table="records", within=TimeRange(T0_US, indexed.clock.now_us()), lookback_us=LOOKBACK_US)
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
                        within=TimeRange(0, 2 * T0_US),
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
        query = Count(table="records", within=TimeRange(T0_US, indexed.clock.now_us()), lookback_us=LOOKBACK_US)
        return (await indexed.store.rows(query)).rows

    assert indexed.loop.run(play()) == [{"records": 1}]
