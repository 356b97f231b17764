"""How the embedded store runs queries: it gives them up, it names its failures, and it exports."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import duckdb
import nanoarrow  # type: ignore[import-untyped]
import pytest
import sqlglot

from app.stores.duckdb.source import _READERS, Queries, _named_errors, to_duckdb
from app.stores.source import StoreBusyError, StoreUnavailableError
from app.stores.sql.statement import Statement
from sluice.testing.misbehaving.waiting import until
from sluice.testing.pace import patience_s

ENDLESS = """SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS x
CROSS JOIN UNNEST(GENERATE_ARRAY(1, 1000000)) AS y WHERE MOD(x * y, 7) = 3"""
ONE = Statement(sql="SELECT 1 AS n", parameters={})


@pytest.fixture
async def queries() -> AsyncIterator[Queries]:
    """Give an empty store."""
    connection = duckdb.connect()
    connection.execute("LOAD icu; SET GLOBAL TimeZone = 'UTC'").fetchall()
    queries = Queries(connection)
    yield queries
    queries.close()
    await until(lambda: _closes(connection))


def _closes(connection: duckdb.DuckDBPyConnection) -> bool:
    """Close a connection, unless a thread whose query was interrupted is still in a call."""
    try:
        connection.close()
    except duckdb.Error:
        return False
    return True


def numbers(count: int) -> Statement:
    """Return a query of `count` rows in descending order."""
    return Statement(
        sql="SELECT x, CAST(x AS STRING) AS text FROM UNNEST(GENERATE_ARRAY(1, @count)) AS x ORDER BY x DESC",
        parameters={"count": count},
        purpose="export",
    )


async def read(queries: Queries, query: Statement) -> Any:
    """Return an export, read back."""
    return nanoarrow.ArrayStream.from_readable(b"".join([piece async for piece in queries.arrow(query)])).read_all()


async def begun(queries: Queries) -> None:
    """Wait until every reader is taken."""
    async with asyncio.timeout(patience_s(60)):
        while sum(each._busy.locked() for each in queries._attempts) < _READERS:  # noqa: ASYNC110 - no event for this
            await asyncio.sleep(0.01)


async def test_cancelled_queries_are_interrupted(queries: Queries) -> None:
    """All the readers are free again at once, and the next query is not the one that is interrupted."""
    tasks = [asyncio.create_task(queries.rows(Statement(sql=ENDLESS, parameters={}))) for _ in range(_READERS)]
    await begun(queries)
    waiting = asyncio.create_task(queries.rows(ONE))
    for task in tasks:
        task.cancel()
    async with asyncio.timeout(patience_s(60)):
        assert (await waiting).rows == [{"n": 1}]
        assert await asyncio.gather(*tasks, return_exceptions=True) != []
        answers = await asyncio.gather(*(queries.rows(ONE) for _ in range(10)))
        assert [answer.rows for answer in answers] == [[{"n": 1}]] * 10
    assert all(task.cancelled() for task in tasks)


async def test_a_query_that_is_cancelled_in_the_queue_never_begins(queries: Queries) -> None:
    """Nobody would read it."""
    tasks = [asyncio.create_task(queries.rows(Statement(sql=ENDLESS, parameters={}))) for _ in range(_READERS + 1)]
    await begun(queries)
    for task in reversed(tasks):  # the one that waits first
        task.cancel()
    async with asyncio.timeout(patience_s(60)):
        assert (await queries.rows(ONE)).rows == [{"n": 1}]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (duckdb.IOException("no space left on device\nmore"), StoreUnavailableError),
        (duckdb.FatalException("the database was invalidated"), StoreUnavailableError),
        (duckdb.OutOfMemoryException("could not allocate"), StoreBusyError),
        (duckdb.BinderException("no such column"), duckdb.BinderException),
    ],
)
def test_a_failure_of_the_store_is_named(failure: duckdb.Error, error: type[Exception]) -> None:
    """A defect of the query's text is not the store's failure."""
    with pytest.raises(error) as raised, _named_errors():
        raise failure
    assert "more" not in str(raised.value)


async def test_an_export_has_all_rows_in_order(queries: Queries) -> None:
    """In more pieces than one, of which only the first has the schema."""
    pieces = [piece async for piece in queries.arrow(numbers(300_000))]
    assert len(pieces) > 3
    found = nanoarrow.ArrayStream.from_readable(b"".join(pieces)).read_all()
    assert [row["x"] for row in found.to_pylist()] == list(range(300_000, 0, -1))


async def test_an_export_that_is_cancelled_is_interrupted(queries: Queries) -> None:
    """Also while it makes its first batch, which may take long."""
    tasks = [
        asyncio.ensure_future(anext(queries.arrow(Statement(sql=ENDLESS, parameters={}, purpose="export"))))
        for _ in range(_READERS)
    ]
    await asyncio.wait(tasks, timeout=0.3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(patience_s(60)):
        assert (await queries.rows(ONE)).rows == [{"n": 1}]


def test_one_thread_at_a_time_uses_sqlglot(monkeypatch: pytest.MonkeyPatch) -> None:
    """It imports its dialects on first use, and another thread would find them half made."""
    together, met = threading.Barrier(2), []

    def parse_one(sql: str, **how: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            met.append(together.wait(timeout=0.1))
        return parsed(sql, **how)  # it also parses templates of its own, in other dialects, when it is first used

    parsed = sqlglot.parse_one
    monkeypatch.setattr("sqlglot.parse_one", parse_one)
    texts = [f"SELECT {number} AS `only_here`" for number in range(4)]
    with ThreadPoolExecutor(len(texts)) as threads:
        found = list(threads.map(to_duckdb, texts))
    assert found == [f'SELECT {number} AS "only_here"' for number in range(4)]
    assert met == []
