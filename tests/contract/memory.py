"""A store of the tests' own, behind the same seams: what it takes to be a third one."""

from collections import defaultdict
from collections.abc import Sequence

from app.runtime.clock import Clock
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import OPENERS
from app.stores.sink import Appender
from app.stores.source import QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.stores import T0_US, Engine, set_back
from tests.stores.memory.store import MemoryAppender, MemoryStore


class MemoryEngine(Engine):
    """Rows in lists."""

    name = "memory"

    async def open(self, tables: Sequence[Table], clock: Clock | None = None) -> "MemoryUnderTest":
        return MemoryUnderTest(tables, clock or FakeClock(T0_US))

    async def settings(self, tables: Sequence[Table]) -> Settings:
        """Return settings of a service over a store that outlives it, under a name of the registry."""
        OPENERS["memory"] = "tests.stores.memory.store"
        return Settings().replace(backend="memory", data_path=f"{id(self)}-{next(self._numbers)}")

    def release(self) -> None:
        OPENERS.pop("memory", None)


class MemoryUnderTest:
    """A store in memory."""

    def __init__(self, tables: Sequence[Table], clock: Clock) -> None:
        self.clock = clock
        self.rows_in_lists = self.eraser = MemoryStore(tables, clock, defaultdict(list))
        self._appenders = {table.name: MemoryAppender(self.rows_in_lists, table) for table in tables}

    @property
    def runner(self) -> QueryRunner:
        return self.rows_in_lists

    def appender(self, table: Table) -> Appender:
        return self._appenders[table.name]

    async def put(self, table: Table, rows: Sequence[tuple[int, bytes]]) -> None:
        self.rows_in_lists.insert(table.name, rows)

    async def drop(self, table: Table) -> None:
        del self.rows_in_lists.tables[table.name]

    async def clear(self) -> None:
        for stored in self.rows_in_lists.stored.values():
            stored.clear()
        set_back(self.clock)

    async def close(self) -> None:
        """Do nothing."""
