"""The store of the tests' own behind a window of a few rows a load, so that every answer is made of several."""

from collections import Counter
from collections.abc import Sequence

from app.runtime.clock import Clock
from app.schema.table import Table
from app.stores.source import QueryRunner
from app.stores.window.database import Database
from app.stores.window.loader import Loader
from app.stores.window.source import Window
from sluice.testing.clock import FakeClock
from tests.contract.memory import MemoryEngine, MemoryUnderTest
from tests.contract.shelf import LOOKBACK_US
from tests.contract.stores import T0_US

FEW_BYTES = 24_000
"""Room for a load of eight rows, and for a few loads."""


class WindowedEngine(MemoryEngine):
    """Rows in lists, read through a window."""

    name = "windowed"
    examples = 20  # the window has a law of its own (tests/stores/window)

    async def open(self, tables: Sequence[Table], clock: Clock | None = None) -> "WindowedUnderTest":
        return WindowedUnderTest(tables, clock or FakeClock(T0_US))


class WindowedUnderTest(MemoryUnderTest):
    """A store in memory, of which a window holds what was read."""

    def __init__(self, tables: Sequence[Table], clock: Clock) -> None:
        super().__init__(tables, clock)
        self.written, self.reads = 0, Counter[str]()
        self.database = Database(tables, FEW_BYTES)
        self.loader = Loader(
            self.rows_in_lists,
            self.database,
            clock,
            lookback_us=LOOKBACK_US,
            erasures=lambda: self.eraser.generation + self.written,
            reads=self.reads,
        )
        self._runner = Window(self.rows_in_lists, self.database, self.loader)

    @property
    def runner(self) -> QueryRunner:
        return self._runner

    async def put(self, table: Table, rows: Sequence[tuple[int, bytes]]) -> None:
        """Store rows; what was loaded is dropped if they have stamps of the past, into which only a test writes."""
        self.written += any(ingest_us < self.clock.now_us() for ingest_us, _ in rows)
        await super().put(table, rows)

    async def clear(self) -> None:
        self.written += 1
        await super().clear()

    async def close(self) -> None:
        self.database.close()
