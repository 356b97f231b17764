"""Exports of the embedded store have threads of their own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import duckdb
import pytest

from app.stores.duckdb.source import _EXPORTERS, Queries
from app.stores.sql.statement import Statement
from tests.stores.duckdb.test_source import ENDLESS, ONE, numbers, read


async def first(pieces: AsyncGenerator[bytes, None]) -> bytes:
    """Return the first piece."""
    return await anext(pieces)


@pytest.fixture
async def crowded() -> AsyncIterator[tuple[Queries, list[asyncio.Task[bytes]]]]:
    """Give a store in which as many exports are under way as can be, and these."""
    connection = duckdb.connect()
    connection.execute("LOAD icu; SET GLOBAL TimeZone = 'UTC'").fetchall()
    queries = Queries(connection)
    endless = Statement(sql=ENDLESS, parameters={}, purpose="export")
    exports = [asyncio.create_task(first(queries.arrow(endless))) for _ in range(_EXPORTERS)]
    yield queries, exports
    for export in exports:
        export.cancel()
    await asyncio.gather(*exports, return_exceptions=True)
    queries.close()  # and the connection with it, once nothing refers to it


async def test_a_page_does_not_wait_for_exports(crowded: tuple[Queries, list[asyncio.Task[bytes]]]) -> None:
    """It is answered while they go on."""
    queries, exports = crowded
    async with asyncio.timeout(60):
        assert (await queries.rows(ONE)).rows == [{"n": 1}]
    assert not any(export.done() for export in exports)


async def test_exports_that_are_given_up_make_room(crowded: tuple[Queries, list[asyncio.Task[bytes]]]) -> None:
    """Their queries are interrupted, so that the next export begins."""
    queries, exports = crowded
    waiting = asyncio.create_task(read(queries, numbers(3)))
    assert not (await asyncio.wait([waiting], timeout=0.3))[0]
    for export in exports:
        export.cancel()
    async with asyncio.timeout(60):
        assert len(await waiting) == 3
