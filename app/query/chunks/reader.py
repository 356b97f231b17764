"""Read the rows of one query from chunks: those at hand, a few that are read for it, and the rest by the store."""

import asyncio
from collections.abc import Iterator

import msgspec

from app.query.chunks.chunk import Chunk, RowCodec, rows_between
from app.query.chunks.matching import row_test
from app.query.chunks.plan import MOST_READS, is_far
from app.query.chunks.table import ChunkedTable
from app.runtime.time_range import TimeRange
from app.stores.query import CANDIDATES, IS_COPY, Count, Position, RowQuery
from app.stores.source import Answer, QueryRunner, Row

_encoder = msgspec.msgpack.Encoder()
_BLOCKS_AT_ONCE = 8  # a few milliseconds of the event loop


class _Range:
    """The positions that a query asks for, [low, high), and how to walk through them."""

    def __init__(self, query: RowQuery | Count) -> None:
        self.low, self.high = Position(query.within.from_us, ""), Position(query.within.to_us, "")
        self._descending, after = query.descending, query.after
        if after is not None and self._descending:
            self.high = min(self.high, after)
        elif after is not None:
            self.low = max(self.low, Position(after.ingest_us, after.delivery_key + "\0"))  # the next possible one

    @property
    def first_us(self) -> int | None:
        """The instant at which to begin; None if nothing is wanted."""
        if self.low >= self.high:
            return None
        return self.high.ingest_us - (not self.high.delivery_key) if self._descending else self.low.ingest_us

    def after(self, chunk: Chunk) -> int | None:
        """Return the instant at which to go on after a chunk; None if nothing further is wanted."""
        if self._descending:
            return chunk.from_us - 1 if Position(chunk.from_us, "") > self.low else None
        return chunk.to_us if Position(chunk.to_us, "") < self.high else None

    def leave(self, chunk: Chunk) -> None:
        """Exclude the rows of a chunk: the next one may overlap it if it is not at hand any more."""
        if self._descending:
            self.high = min(self.high, Position(chunk.from_us, ""))
        else:
            self.low = max(self.low, Position(chunk.to_us, ""))

    def ahead_us(self, at_us: int) -> int:
        """Return how much time is left to read, from `at_us` on."""
        return at_us - self.low.ingest_us if self._descending else self.high.ingest_us - at_us

    def rows(self, chunk: Chunk, codec: RowCodec) -> Iterator[list[Row]]:
        """Yield the wanted rows of a chunk, block by block."""
        return rows_between(chunk, codec, low=self.low, high=self.high, descending=self._descending)


async def counted(table: ChunkedTable, query: Count) -> int:
    """Return the number of rows of `query`, all of which are at hand."""
    bounds, matches, total = _Range(query), row_test(query.conditions), 0
    at_us, chunks = bounds.first_us, list[Chunk]()
    while at_us is not None and (chunk := table.find(at_us)) is not None:  # all of them now, before anything waits
        chunks.append(chunk)
        at_us = bounds.after(chunk)
    for chunk in chunks:
        for number, rows in enumerate(bounds.rows(chunk, table.codec), 1):
            total += sum(map(matches, rows))
            if query.cap is not None and total >= query.cap:
                return query.cap
            if number % _BLOCKS_AT_ONCE == 0:
                await asyncio.sleep(0)
    return total


class ChunkReader:
    """Collects the rows of one query; no row at or after `horizon_us` is settled."""

    def __init__(self, table: ChunkedTable, query: RowQuery, horizon_us: int) -> None:
        self._table, self._query, self._horizon_us = table, query, horizon_us
        self._bounds, self._matches = _Range(query), row_test(query.conditions)
        self._columns = None if set(query.columns) == set(table.columns) else query.columns
        self._rows = list[Row]()
        self._size, self._is_cut = 0, False
        self._billed: int | None = None

    async def answer(self, runner: QueryRunner) -> Answer:
        """Return the answer of the query; what chunks cannot give comes from `runner`.

        Raises:
            QueryError: the store gave no answer.
        """
        at_us, reads = self._bounds.first_us, 0
        while at_us is not None:
            chunk = self._table.find(at_us)
            if chunk is None:
                chunk = await self._read(at_us, reads)
                reads += 1
            if chunk is None:
                return await self._rest(runner, at_us)
            if await self._take(chunk):
                break
            at_us = self._bounds.after(chunk)
            self._bounds.leave(chunk)
        return self._answered(len(self._rows))

    async def _read(self, at_us: int, reads: int) -> Chunk | None:
        """Return the chunk at `at_us` from the store; None if the store had better answer the rest of the query."""
        ahead_us = self._bounds.ahead_us(at_us)
        if reads == MOST_READS or (reads and is_far(ahead_us, self._table.lengths.typical_us)):
            return None
        descending = self._query.descending
        chunk = await self._table.read(at_us, self._horizon_us, descending=descending, goes_on=bool(reads))
        if chunk is not None:
            self._spend(chunk.billed)
        return chunk

    async def _take(self, chunk: Chunk) -> bool:
        """Add the rows of a chunk; return whether the answer is full."""
        for number, rows in enumerate(self._bounds.rows(chunk, self._table.codec), 1):
            for row in filter(self._matches, rows):
                shown = row if self._columns is None else {name: row[name] for name in self._columns}
                self._size += len(_encoder.encode(shown))
                if self._rows and self._query.max_bytes is not None and self._size > self._query.max_bytes:
                    self._is_cut = True
                    return True
                self._rows.append(shown)
                if len(self._rows) == self._query.limit:
                    return True
            if number % _BLOCKS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return False

    async def _rest(self, runner: QueryRunner, at_us: int) -> Answer:
        """Return the answer with what the store finds from `at_us` on."""
        query, row_count = self._query, len(self._rows)
        self._table.reads["passed_on"] += 1
        rest = msgspec.structs.replace(
            query,
            within=TimeRange(
                query.within.from_us if query.descending else at_us,
                at_us + 1 if query.descending else query.within.to_us,
            ),
            limit=query.limit - row_count,
            candidates=query.candidates - row_count,
            max_bytes=None if query.max_bytes is None else max(query.max_bytes - self._size, 1),
        )
        answer = await runner.rows(rest)
        self._spend(answer.bytes_processed)
        self._rows += answer.rows
        self._size += answer.fetched_bytes
        self._is_cut = answer.cut
        return self._answered(row_count + (answer.rows[-1][CANDIDATES] if answer.rows else 0))

    def _spend(self, billed: int | None) -> None:
        if billed is not None:
            self._billed = (self._billed or 0) + billed

    def _answered(self, candidates: int) -> Answer:
        for row in self._rows:
            row[CANDIDATES] = candidates
            row.setdefault(IS_COPY, False)
        return Answer(self._rows, self._billed, self._size, self._is_cut)
