"""The store of the tests' own behind settled chunks of a few rows each, so that every answer is made of several."""

from collections import Counter
from collections.abc import Sequence

from app.query.chunks.plan import Sizes
from app.query.chunks.shelf import Shelf
from app.query.chunks.source import ChunkedSource
from app.runtime.clock import Clock
from app.schema.table import Table
from app.stores.source import QueryRunner
from sluice.testing.clock import FakeClock
from tests.contract.memory import MemoryEngine, MemoryUnderTest
from tests.contract.shelf import LOOKBACK_US
from tests.contract.stores import T0_US

SIZES = Sizes(target_rows=3, target_bytes=2_000, most_rows=4, most_bytes=4_000)


class ChunkedEngine(MemoryEngine):
    """Rows in lists, read as chunks."""

    name = "chunked"

    async def open(self, tables: Sequence[Table], clock: Clock | None = None) -> "ChunkedUnderTest":
        return ChunkedUnderTest(tables, clock or FakeClock(T0_US))


class ChunkedUnderTest(MemoryUnderTest):
    """A store in memory whose rows, once read, come from chunks."""

    def __init__(self, tables: Sequence[Table], clock: Clock) -> None:
        super().__init__(tables, clock)
        self.chunks = Shelf(1_000_000, clock, ttl_s=1e9, erasures=lambda: self.eraser.generation)
        self._runner = ChunkedSource(
            self.rows_in_lists, tables, self.chunks, lookback_us=LOOKBACK_US, reads=Counter(), grid_us=1, sizes=SIZES
        )

    @property
    def runner(self) -> QueryRunner:
        return self._runner

    async def put(self, table: Table, rows: Sequence[tuple[int, bytes]]) -> None:
        """Store rows; chunks of a time that only a test writes into are dropped."""
        if any(ingest_us < self.clock.now_us() for ingest_us, _ in rows):
            self.chunks.clear()
        await super().put(table, rows)

    async def clear(self) -> None:
        self.chunks.clear()
        await super().clear()
