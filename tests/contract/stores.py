"""A store as the contract sees it: both seams, rows put at chosen instants, and a clock that stands where it is put."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from hypothesis import HealthCheck, Phase, settings

from app.record import Record
from app.runtime.clock import Clock
from app.runtime.instants import SECOND_US, TimeRange
from app.schema.table import Table, records_table, rejects_table
from app.settings.load import Settings
from app.stores.backend import Backend, Eraser, open_backend
from app.stores.duckdb.recent_keys import RECENT_KEYS
from app.stores.duckdb.store import EmbeddedAppender, EmbeddedStore
from app.stores.erasures import erasures_table
from app.stores.query import Condition, Rows
from app.stores.sink import Appender, Stored
from app.stores.source import QueryRunner
from sluice.testing.clock import FakeClock
from tests.long_form import examples

T0_US = 1_700_000_000 * SECOND_US
RECORDS, REJECTS = records_table(Record), rejects_table()


class Store(Protocol):
    """An open store, whose connections belong to the loop of the engine that opened it."""

    clock: Clock

    @property
    def runner(self) -> QueryRunner: ...

    @property
    def eraser(self) -> Eraser: ...

    def appender(self, table: Table) -> Appender:
        """Return the Appender of `table`, the same at every call."""
        ...

    async def put(self, table: Table, rows: Sequence[tuple[int, bytes]]) -> None:
        """Store encoded rows, each with the stamp it comes with, whatever the clock says."""
        ...

    async def drop(self, table: Table) -> None: ...

    async def clear(self) -> None:
        """Remove every row, and set the clock back to T0_US."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class Engine:
    """What stores are made with: DuckDB, or BigQuery as far as a machine without a network has it.

    `settle_s` is the age at which a row is settled; `examples`, of how many examples a law is tried on. `drops_copies`:
    no copy is stored, so rows can only be put in the order of their stamps.
    """

    name = ""
    settle_s = 0.0
    examples = 40
    drops_copies = False

    def __init__(self) -> None:
        self.loop, self._numbers = asyncio.Runner(), itertools.count(1)

    async def open(self, tables: Sequence[Table], clock: Clock | None = None) -> Store:
        """Make empty tables and open them; the clock stands at T0_US, unless another one is given."""
        raise NotImplementedError

    async def settings(self, tables: Sequence[Table]) -> Settings:
        """Return settings of a service over a store of its own, with `tables` made and empty."""
        raise NotImplementedError

    def release(self) -> None:
        """Remove the stores of `settings`."""


class EmbeddedEngine(Engine):
    """DuckDB, in memory where nothing is opened twice; pytest removes the files."""

    name = "embedded"
    drops_copies = True

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    async def open(self, tables: Sequence[Table], clock: Clock | None = None) -> "EmbeddedUnderTest":
        clock = clock or FakeClock(T0_US)
        return EmbeddedUnderTest(open_backend(Settings().replace(data_path=":memory:"), tables, clock), tables, clock)

    async def settings(self, tables: Sequence[Table]) -> Settings:
        return Settings().replace(data_path=str(self._folder / f"{next(self._numbers)}.duckdb"))


class EmbeddedUnderTest:
    """A store in memory."""

    def __init__(self, backend: Backend, tables: Sequence[Table], clock: Clock) -> None:
        assert isinstance(backend.runner, EmbeddedStore)
        self.clock, self.runner, self._tables, self._backend = clock, backend.runner, tables, backend

    @property
    def eraser(self) -> Eraser:
        return self._backend.eraser

    def appender(self, table: Table) -> EmbeddedAppender:
        found = self._backend.appender(table)
        assert isinstance(found, EmbeddedAppender)
        return found

    async def put(self, table: Table, rows: Sequence[tuple[int, bytes]]) -> None:
        """Store neighbours with the same stamp in one transaction."""
        for ingest_us, group in itertools.groupby(rows, key=itemgetter(0)):
            encoded = [row for _, row in group]
            assert self.runner._insert(table.name, self.appender(table)._insert_sql, ingest_us, encoded) == Stored()
            self.runner._versions[table.name] += 1

    async def drop(self, table: Table) -> None:
        self.runner._connection.execute(f"DROP TABLE {table.name}")

    async def clear(self) -> None:
        for table in (*self._tables, erasures_table()):
            self.runner._connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 - a table of the declaration
        self.runner._connection.execute(f"DELETE FROM {RECENT_KEYS}")  # noqa: S608 - a constant
        set_back(self.clock)

    async def close(self) -> None:
        await self._backend.close()


async def every_row(
    runner: QueryRunner, table: Table, *conditions: Condition, columns: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the rows that match `conditions`, copies included, in their order; all columns, unless some are named."""
    names = {column.name for column in table.columns} if not columns else {*columns, "ingest_time", "delivery_key"}
    query = Rows(
        table=table.name,
        within=TimeRange(T0_US, 2 * T0_US),
        conditions=conditions,
        lookback_us=0,
        columns=tuple(column.name for column in table.columns if column.name in names),
        limit=10_000,
    )
    return [{name: row[name] for name in columns or query.columns} for row in (await runner.rows(query)).rows]


def set_back(clock: Clock) -> None:
    """Put a fake clock at T0_US, where it was in the beginning."""
    assert isinstance(clock, FakeClock)
    clock._now_us = T0_US


def law(engine: Engine, share: float = 1.0) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return settings for a law over `engine`: `share` of the examples that suit it.

    Where an example takes a second, a failing one is shown as it was found: to make it small would take an hour.
    """
    phases = set(Phase) if engine.name == "embedded" else {Phase.explicit, Phase.reuse, Phase.generate}
    slow = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
    number = examples(max(round(engine.examples * share), 1))
    return settings(max_examples=number, deadline=None, suppress_health_check=slow, phases=phases)
