"""Answer queries of the embedded store, with the help of its indexes (`row_index`) where they cover the range.

A deletion may make an original of a copy. So the indexes forget its range before it begins and again once it is done,
and a query that was rendered before either, but has ended after it, runs once more without the index.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

import msgspec

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import MAX_US, MIN_US, MINUTE_US
from app.runtime.time_range import TimeRange
from app.schema.table import Table
from app.stores.duckdb.row_index import ID_BYTES, CopyIndex, IdIndex
from app.stores.duckdb.source import Queries, to_duckdb
from app.stores.query import ArrowQuery, Count, Deletion, Export, LookUp, Position, Query, RowQuery, Statistics
from app.stores.source import Answer, QueryError, Row
from app.stores.sql.projection import source_of
from app.stores.sql.statement import Statement, render

_Indexed = RowQuery | Count | Export | Statistics
_MAX_MINUTES = 8  # a look-up reads them one after the other, each in 4 ms; with more, it reads all ids of the range
_SHARE_OF_IDS = 8  # the indexes of ids may have this part of the store's memory
_IDLE_S = 5.0


class Reader:
    """Runs queries over the tables of one store. `horizon_us` returns the settled horizon of a table.

    Queries with another look-back than `lookback_us` use no index of copies. The indexes of ids use an eighth of
    `memory_bytes`.
    """

    def __init__(
        self,
        queries: Queries,
        tables: Sequence[Table],
        horizon_us: Callable[[str], int],
        *,
        lookback_us: int,
        memory_bytes: int,
    ) -> None:
        self._queries, self._tables = queries, tables
        self._by_name = {table.name: table for table in tables}
        self._horizon_us, self._lookback_us = horizon_us, lookback_us
        self._max_ids = memory_bytes // _SHARE_OF_IDS // ID_BYTES // max(len(tables), 1)
        self.reset()

    def reset(self) -> None:
        """Forget everything, because the database is another one."""
        run = self._queries.native
        self._copies = {
            table.name: CopyIndex(run, table, self._horizon_of(table), self._lookback_us) for table in self._tables
        }
        self._ids = {
            table.name: IdIndex(run, table, table.id, self._horizon_of(table), self._max_ids)
            for table in self._tables
            if table.id is not None
        }

    def _horizon_of(self, table: Table) -> Callable[[], int]:
        return lambda: self._horizon_us(table.name)

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        match query:
            case LookUp() if query.table in self._ids:
                return Answer(await self._versions(query))
            case RowQuery() | Count() | Export() | Statistics() if query.table in self._copies:
                index, generation = await self._index(query)
                answer = await self._queries.rows(self.statement(query))
                if index.generation == generation:
                    return answer
        return await self._queries.rows(self.render(query))

    def statement(self, query: Query) -> Statement:
        """Return the statement that answers `query`; of a look-up, the one that reads the whole range."""
        match query:
            case RowQuery() | Count() | Export() | Statistics() if query.table in self._copies:
                index = self._copies[query.table]
                is_usable = query.lookback_us == index.lookback_us
                return self.render(query, index.listed(query.within.from_us, query.within.to_us) if is_usable else None)
            case _:
                return self.render(query)

    def render(self, query: Query | Deletion, copies: str | None = None) -> Statement:
        """Return the statement of `query`, which shows promoted members as columns; `copies` as of `render`."""
        table = self._by_name.get(query.table)
        return render(query, source_of(query, table) if table else "", copies)

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query`, in its order, as the pieces of one Arrow IPC stream."""
        if isinstance(query, Export) and query.table in self._copies:
            index, generation = await self._index(query)
            async with aclosing(self._queries.arrow(self.statement(query))) as pieces:
                schema = await anext(pieces)
                if index.generation == generation:  # what is deleted from now on is still in the query's snapshot
                    yield schema
                    async for piece in pieces:
                        yield piece
                    return
        async with aclosing(self._queries.arrow(self.render(query))) as pieces:
            async for piece in pieces:
                yield piece

    async def _index(self, query: _Indexed) -> tuple[CopyIndex, int]:
        """Return the index of copies and its generation, once it covers `query` if that takes one short scan."""
        index = self._copies[query.table]
        if query.within.length_us > query.lookback_us == index.lookback_us:  # else finding the copies costs less
            with suppress(QueryError):
                await index.cover(query.within.from_us, query.within.to_us)
        return index, index.generation

    async def _versions(self, query: LookUp) -> list[Row]:
        """Return the rows of a look-up, from the parts of its range in which the id may have rows, newest first."""
        rows: list[Row] = []
        within = query.within
        beyond_us = within.to_us
        # Each gap is read after the covered range that follows it; an empty one comes before the first covered range.
        gaps = self._ids[query.table].coverage.gaps(within.from_us, within.to_us)
        for gap in reversed([TimeRange(within.from_us, within.from_us), *gaps]):
            hits = await self._hits(query, TimeRange(gap.to_us, beyond_us))
            for part in (*hits, gap):
                missing = query.limit - len(rows)
                if missing and part.length_us > 0:
                    narrowed = msgspec.structs.replace(query, within=part, limit=missing)
                    rows += (await self._queries.rows(self.render(narrowed))).rows
            if len(rows) == query.limit:
                break
            beyond_us = gap.from_us
        return rows

    async def _hits(self, query: LookUp, covered: TimeRange) -> list[TimeRange]:
        """Return the parts of a covered range in which the id may have rows, newest first."""
        if covered.length_us <= 0:
            return []
        index = self._ids[query.table]
        minutes = await index.minutes(query.record_id, covered.from_us, covered.to_us, _MAX_MINUTES)
        if len(minutes) > _MAX_MINUTES:
            return [covered]
        parts = ((minute * MINUTE_US, (minute + 1) * MINUTE_US) for minute in minutes)
        return [TimeRange(max(begin_us, covered.from_us), min(end_us, covered.to_us)) for begin_us, end_us in parts]

    def forget(self) -> None:
        """Forget everything, because rows have appeared or disappeared by other means than appends and `delete`."""
        for index in (*self._copies.values(), *self._ids.values()):
            index.coverage.remove(MIN_US, MAX_US)

    def deleting(self, query: Deletion) -> None:
        """Call it before the rows of `query` are deleted, and `deleted` afterwards, whatever came of it."""
        self._copies[query.table].forget(query.first_us, query.last_us)

    def deleted(self, query: Deletion) -> None:
        """Allow the indexes to cover the range of `query` again."""
        self._copies[query.table].deleted()

    async def prune(self, table: str, before_us: int) -> None:
        """Remove the rows stamped before an instant from the index of ids, because they have been deleted.

        Raises:
            QueryError: the store gave no answer.
        """
        if table in self._ids:
            await self._ids[table].prune(before_us)

    async def keep(self, clock: Clock) -> None:
        """Prepare common queries and build the indexes, then extend them as rows arrive, until cancelled."""
        await self._prepare()
        while True:
            is_busy, begun_us = False, clock.elapsed_us()
            for index in (*self._copies.values(), *self._ids.values()):
                with suppress(QueryError):  # the next look may succeed; until then queries read the table
                    is_busy |= await index.step()
            # A scan uses all processors, so queries get half of the time.
            await clock.sleep((clock.elapsed_us() - begun_us) / MICROSECONDS if is_busy else _IDLE_S)

    async def _prepare(self) -> None:
        """Render common queries: the first one loads SQLGlot, which takes a third of a second."""
        for table in self._tables:
            for query in _common(table, self._lookback_us):
                await asyncio.to_thread(to_duckdb, self.render(query, "").sql)


def _common(table: Table, lookback_us: int) -> list[Query]:
    names = tuple(column.name for column in table.columns)
    page = RowQuery(
        table=table.name, within=TimeRange(0, 0), lookback_us=lookback_us, columns=names, limit=0, candidates=0
    )
    queries: list[Query] = [
        msgspec.structs.replace(page, descending=descending, after=after)
        for after in (None, Position(0, ""))
        for descending in (False, True)
    ]
    if table.id is not None:
        queries.append(
            LookUp(
                table=table.name,
                within=TimeRange(0, 0),
                lookback_us=lookback_us,
                columns=names,
                id_column=table.id.name,
                record_id="",
                limit=0,
            )
        )
    return queries
