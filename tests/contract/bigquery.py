"""Stores in BigQuery, as local-bigquery plays it: a dataset each, on a server that all tests share."""

import asyncio
from collections.abc import Sequence

from app.runtime.clock import Clock
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend, Eraser, open_backend
from app.stores.bigquery.client import BigQueryClients, TableAddress
from app.stores.bigquery.sink import StorageWriteAppender
from app.stores.bigquery.source import BigQueryRunner
from app.stores.bigquery.watermarks import instances_table
from app.stores.erasures import erasures_table
from app.stores.sink import Stored
from app.stores.source import QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.stores import T0_US, Engine, set_back
from tests.support.local_bigquery import Double
from tests.support.plain_client import Unstamped

_DEFAULT = Settings()


class BigQueryEngine(Engine):
    """The appender over gRPC and the runner over REST that production has, before a local server."""

    name = "bigquery"
    settle_s = _DEFAULT.store.settle_s
    examples = 3  # a page takes a fifth of a second here

    def __init__(self, double: Double) -> None:
        super().__init__()
        self._double = double
        self._lent: list[TableAddress] = []

    async def open(self, tables: Sequence[Table], clock: Clock | None = None) -> "BigQueryUnderTest":
        return BigQueryUnderTest(self._double, tables, clock or FakeClock(T0_US))

    async def settings(self, tables: Sequence[Table]) -> Settings:
        self._lent.append(self._double.fresh(*tables))
        return _settings(self._lent[-1])

    def release(self) -> None:
        """Drop the datasets of `settings`: each table that is left makes every later query a tenth slower."""
        while self._lent:
            self._double.drop(self._lent.pop())


def _settings(place: TableAddress) -> Settings:
    return Settings().replace(
        backend="bigquery",
        bigquery_project=place.project,
        bigquery_dataset=place.dataset,
        bigquery_rest_url=place.rest_url,
        bigquery_storage_url=place.storage_url,
    )


class BigQueryUnderTest:
    """A dataset."""

    def __init__(self, double: Double, tables: Sequence[Table], clock: Clock) -> None:
        self.clock, self._place, self._tables = clock, double.fresh(*tables), tables
        self._backend: Backend = open_backend(_settings(self._place), tables, clock)
        self._access = BigQueryClients(self._place)
        self._changed: set[Table] = set()
        self._cleared = 0

    @property
    def runner(self) -> QueryRunner:
        return self._backend.runner

    @property
    def eraser(self) -> Eraser:
        self._changed.add(erasures_table())
        return self._backend.eraser

    def appender(self, table: Table) -> StorageWriteAppender:
        self._changed.add(table)
        found = self._backend.appender(table)
        assert isinstance(found, StorageWriteAppender)
        return found

    async def put(self, table: Table, rows: Sequence[tuple[int, bytes]]) -> None:
        """Send all rows in one request, stamped as the appender stamps them, but each with its own stamp."""
        appender = self.appender(table)
        stamped = [row + appender._rows.stamp(ingest_us) for ingest_us, row in rows]
        if stamped:
            async with appender._connections.lend(sum(map(len, stamped))) as connection:
                assert await connection.append(stamped, Unstamped()) == Stored()

    async def drop(self, table: Table) -> None:
        self._access.client().delete_table(self._place.table_id(table.name))

    async def clear(self) -> None:
        """Remove every row of the tables that may have some, and set the clock back.

        An instance stamps nothing while its clock is behind what it has announced, so a new one takes its place; and
        the horizon that it has learned, or is about to learn from a query of the last test, would hide what is stored
        behind it.
        """
        assert isinstance(self.runner, BigQueryRunner)
        horizons = self.runner._horizons
        if horizons._reading is not None:
            await asyncio.wait([horizons._reading])
        announcing = [self.appender(table)._announcing for table in self._changed]
        is_announced = any(each is not None and each._task is not None for each in announcing)
        if is_announced:
            await self._backend.close()
            self._changed.add(instances_table())
        for table in self._changed:
            sql = f"DELETE FROM `{self._place.table_id(table.name)}` WHERE ingest_time > TIMESTAMP '0001-01-01'"  # noqa: S608 - a table of the declaration
            self._access.client().query_and_wait(sql)
        self._changed = set()
        set_back(self.clock)
        horizons._known_us = 0
        if is_announced:
            self._backend = open_backend(_settings(self._place), self._tables, self.clock)
        self._cleared = max(self._cleared, self._backend.eraser.generation) + 1
        assert isinstance(self.runner, BigQueryRunner)
        self.runner.erasures = self._cleared  # or results of the same statements from before would be read again

    async def close(self) -> None:
        await self._backend.close()
        self._access.client().delete_dataset(self._place.dataset, delete_contents=True)
        self._access.close()
