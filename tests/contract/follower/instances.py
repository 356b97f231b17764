"""Instances of the service that only read: the page endpoint over a store that the test fills."""

import asyncio
from collections.abc import Sequence

import httpx

from app.query.answer.cache import AnswerCache, BoundedMemoryStore
from app.query.read.reads import Reads
from app.runtime.clock import Clock
from app.settings.fields import MIB
from app.settings.load import Settings
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.source import BigQueryRunner
from app.stores.query import Query
from app.stores.source import Answer, QueryRunner
from app.streams import of_table
from tests.contract.application import NoEraser, application, routes_over
from tests.contract.bigquery import BigQueryUnderTest
from tests.contract.follower.clocks import SETTINGS
from tests.contract.stores import RECORDS, Store
from tests.support.unwatched import environment_of


class _OverDuckDB(BigQueryRunner):
    """What BigQuery's runner says about time, over rows that lie in DuckDB: fast enough for many examples."""

    def __init__(self, rows: QueryRunner, clock: Clock) -> None:
        super().__init__(BigQueryClients(TableAddress.of(SETTINGS.store)), SETTINGS, clock)
        self._rows = rows

    async def rows(self, query: Query) -> Answer:
        return await self._rows.rows(query)


def settling_runner(store: Store, clock: Clock) -> BigQueryRunner:
    """Return a runner over `store` that knows of no writer, only that what is older than the settle time is final."""
    if isinstance(store, BigQueryUnderTest):
        return BigQueryRunner(store._access, SETTINGS, clock)
    return _OverDuckDB(store.runner, clock)


class Instances:
    """Instances that share a cache of answers, each with a runner and a clock of its own."""

    def __init__(self, loop: asyncio.Runner, parts: Sequence[tuple[QueryRunner, Clock, Settings]]) -> None:
        self._loop = loop
        self._kept = BoundedMemoryStore(16 * MIB, parts[0][1])
        self._clients = [self._client(*part) for part in parts]

    def get(self, number: int, parameters: dict[str, str]) -> httpx.Response:
        """Ask an instance for a page of records."""
        return self._loop.run(self._clients[number].get("/v1/records", params=parameters))

    def forget(self) -> None:
        self._kept._entries.clear()

    def _client(self, runner: QueryRunner, clock: Clock, settings: Settings) -> httpx.AsyncClient:
        cache = AnswerCache(environment_of(clock, settings), self._kept, lambda: "test")
        routes = routes_over(runner, of_table(RECORDS), cache, Reads(clock), NoEraser())
        transport = httpx.ASGITransport(app=application(routes))  # type: ignore[arg-type] # httpx knows dicts only
        return httpx.AsyncClient(transport=transport, base_url="http://localhost")
