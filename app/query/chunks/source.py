"""A QueryRunner that answers pages from chunks, and any other query by the runner behind it."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence

from litestar.stores.base import Store

from app.environment import Environment
from app.query.chunks.plan import DEFAULT_SIZES, FINE_GRID_US, Sizes, suits
from app.query.chunks.reader import ChunkReader, counted
from app.query.chunks.shared import SharedChunks
from app.query.chunks.shelf import Shelf
from app.query.chunks.table import ChunkedTable
from app.query.read.cache import CLOSED_TTL_S
from app.schema.table import Table
from app.stores.backend import Backend
from app.stores.query import ArrowQuery, Count, Query, RowQuery
from app.stores.source import Answer, LearnHorizon, Plan, QueryRunner


class ChunkedSource:
    """Answers settled pages, and counts of what is at hand, from chunks. All else goes to `runner`.

    `share` returns where the chunks of a table are shared with other instances; None: nowhere.

    Chunks are read with a look-back of `lookback_us`, and counted in `reads` by where they came from. The horizon is
    rounded down to multiples of `grid_us`, so that readers of the newest rows read the same chunks.
    """

    def __init__(  # noqa: PLR0913 - what chunks are read with
        self,
        runner: QueryRunner,
        tables: Sequence[Table],
        shelf: Shelf,
        *,
        lookback_us: int,
        reads: Counter[str],
        grid_us: int,
        sizes: Sizes = DEFAULT_SIZES,
        share: Callable[[Table], SharedChunks] | None = None,
    ) -> None:
        self._runner, self._shelf = runner, shelf
        self._lookback_us, self._grid_us = lookback_us, grid_us
        self._tables = {
            table.name: ChunkedTable(
                runner,
                table,
                shelf,
                lookback_us=lookback_us,
                sizes=sizes,
                reads=reads,
                shared=None if share is None else share(table),
            )
            for table in tables
        }
        self.partition_us, self.longest_slice_us = runner.partition_us, runner.longest_slice_us
        self.first_slice_us, self.first_look_up_us = runner.first_slice_us, runner.first_look_up_us
        self.poll_s, self.open_ttl_s = runner.poll_s, runner.open_ttl_s
        self.learn_horizon: LearnHorizon | None = runner.learn_horizon

    @property
    def export_rows(self) -> int | None:
        """How many rows one query of an export may return."""
        return self._runner.export_rows

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        match query:
            case RowQuery() if (table := self._suited(query)) is not None:
                return await ChunkReader(table, query, self.horizon_us(query.table)).answer(self._runner)
            case Count() if (table := self._at_hand(query)) is not None:
                return Answer([{"records": await counted(table, query)}])
            case _:
                return await self._runner.rows(query)

    def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query` as the pieces of one Arrow IPC stream."""
        return self._runner.arrow(query)

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`, on the grid."""
        return self._runner.horizon_us(table) // self._grid_us * self._grid_us

    def version(self, table: str) -> int | None:
        """Return a number that changes as soon as `table` has new rows."""
        return self._runner.version(table)

    async def explain(self, query: Query) -> Plan:
        """Return what the store would run for `query`."""
        return await self._runner.explain(query)

    def _suited(self, query: RowQuery) -> ChunkedTable | None:
        """Return the table of a query that chunks may answer, or None."""
        table = self._tables.get(query.table)
        if table is None:
            return None
        likely_bytes = table.lengths.likely_bytes(query.within.length_us)
        horizon_us = self.horizon_us(query.table)
        return table if suits(query, horizon_us, self._lookback_us, likely_bytes, self._shelf.max_bytes) else None

    def _at_hand(self, query: Count) -> ChunkedTable | None:
        """Return the table of a count whose rows are all at hand, or None."""
        table = self._tables.get(query.table)
        if table is None or query.lookback_us != self._lookback_us or query.within.to_us > self.horizon_us(query.table):
            return None
        at_us = query.within.from_us
        while at_us < query.within.to_us:
            chunk = table.find(at_us)
            if chunk is None:
                return None
            at_us = chunk.to_us
        return table


def with_chunks(
    runner: QueryRunner, environment: Environment, tables: Sequence[Table], backend: Backend, server: Store
) -> QueryRunner:
    """Return what reads `tables` through chunks, or `runner` itself where those are off, or of no use.

    They are of use where a store reads whole partitions, whatever part of one a query needs. Where instances share a
    Valkey, `server`, they share chunks of the data of `backend`.
    """
    limits, clock, lookback_us = environment.settings.query, environment.clock, environment.lookback_us
    if not limits.chunk_max_bytes or runner.partition_us == 1:
        return runner

    def erasures() -> int:
        return backend.eraser.generation

    def namespace() -> str:
        return f"{backend.name} {lookback_us} {erasures()}"

    return ChunkedSource(
        runner,
        tables,
        Shelf(limits.chunk_max_bytes * 2 // 3, clock, ttl_s=CLOSED_TTL_S, erasures=erasures),
        lookback_us=lookback_us,
        reads=environment.metrics.chunk_reads,
        grid_us=FINE_GRID_US,
        share=(lambda table: SharedChunks(server, clock, table, namespace)) if limits.cache_url else None,
    )
