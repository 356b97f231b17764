"""The chunks of one table: those at hand, and those being read."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from operator import eq
from typing import NamedTuple

from app.query.chunks.chunk import Block, Chunk, RowCodec
from app.query.chunks.keys import Segment, copies_in, segment_of
from app.query.chunks.plan import Lengths, Sizes, Stretch
from app.query.chunks.shared import IndexedChunk, SharedChunks
from app.query.chunks.shelf import Shelf
from app.query.scan import position_of
from app.schema.table import Table
from app.stores.query import IS_COPY, Export
from app.stores.source import Answer, QueryRunner, QueryTooExpensiveError, Row

_log = logging.getLogger("sluice.query")


class _Flight:
    """A chunk being read, and how many callers wait for it."""

    def __init__(self, stretch: Stretch, task: "asyncio.Task[Chunk | None]") -> None:
        self.stretch, self.task, self.waiting = stretch, task, 0


class ChunkedTable:
    """Finds and reads the chunks of one table, each once however many ask for it. It is for one event loop."""

    def __init__(  # noqa: PLR0913 - what chunks are read with
        self,
        runner: QueryRunner,
        table: Table,
        shelf: Shelf,
        *,
        lookback_us: int,
        sizes: Sizes,
        reads: Counter[str],
        shared: SharedChunks | None,
    ) -> None:
        self.name, self.lengths, self.codec = table.name, Lengths(sizes), RowCodec(table.columns)
        self.columns = tuple(column.name for column in table.columns)
        self._runner, self._shelf, self._lookback_us, self._sizes = runner, shelf, lookback_us, sizes
        self._flights: list[_Flight] = []
        self._others, self._giving = shared, set[asyncio.Task[None]]()
        self.reads = reads
        """How many chunks were needed, by where they came from."""

    def find(self, at_us: int) -> Chunk | None:
        """Return the chunk at hand that holds the instant `at_us`, or None."""
        chunk = self._shelf.find(self.name, at_us)
        self.reads["at_hand"] += chunk is not None
        return chunk

    async def read(self, at_us: int, horizon_us: int, *, descending: bool, goes_on: bool) -> Chunk | None:
        """Return the chunk that holds `at_us`, which is not at hand; None if it cannot be one.

        No row at or after `horizon_us` is settled. `goes_on`: the caller has just read up to `at_us`.

        Raises:
            QueryError: the store gave no answer.
        """
        flight = next((each for each in self._flights if at_us in each.stretch), None)
        if flight is not None:
            self.reads["shared"] += 1
        else:
            stretch = self.lengths.stretch(at_us, self._gap(at_us, horizon_us), goes_on=goes_on)
            work = self._read(stretch, self._shelf.generation, descending=descending)
            flight = _Flight(stretch, asyncio.create_task(work))
            self._flights.append(flight)
        flight.waiting += 1
        try:
            await asyncio.wait([flight.task])
        finally:
            await self._leave(flight)
        chunk = flight.task.result()
        # A chunk may be shorter than its stretch, and a flight may have been joined at its other end.
        return chunk if chunk is not None and chunk.from_us <= at_us < chunk.to_us else None

    async def _leave(self, flight: _Flight) -> None:
        """Stop waiting for a flight; cancel it when no caller is left."""
        flight.waiting -= 1
        ended = flight.task.done()
        if (ended or not flight.waiting) and flight in self._flights:
            self._flights.remove(flight)
        if not ended and not flight.waiting:
            flight.task.cancel()
            await asyncio.wait([flight.task])

    def _gap(self, at_us: int, horizon_us: int) -> Stretch:
        """Return the stretch around `at_us` of which nothing is at hand, or being read."""
        gap = self._shelf.gap(self.name, at_us)
        flights = [each.stretch for each in self._flights]
        low_us = max((each.to_us for each in flights if each.to_us <= at_us), default=gap.from_us)
        high_us = min((each.from_us for each in flights if each.from_us > at_us), default=gap.to_us)
        return Stretch(max(low_us, gap.from_us), min(high_us, gap.to_us, horizon_us))

    async def _read(self, stretch: Stretch, generation: int, *, descending: bool) -> Chunk | None:
        if (indexed := await self._from_others(stretch)) is not None:
            self._keep(indexed, generation)
            return indexed.chunk
        self.reads["read"] += 1
        keys = self._shelf.keys
        earlier = keys.before(self.name, stretch.from_us, self._lookback_us)
        fetched = await self._fetch(stretch, 0 if earlier is not None else self._lookback_us, descending=descending)
        billed = fetched.billed
        if earlier is not None and fetched.covered is not None and fetched.covered.from_us > stretch.from_us:
            # It was cut, so the keys of the rows just before it are missing.
            earlier = None
            fetched = await self._fetch(fetched.covered, self._lookback_us, descending=descending)
            billed = sum(filter(None, (billed, fetched.billed)))
        covered = fetched.covered
        if covered is None:
            return None
        rows = [row for row in fetched.rows if position_of(row).ingest_us in covered]
        try:
            blocks, segment = await asyncio.to_thread(self._assemble, covered, rows, earlier)
        except (TypeError, ValueError) as error:
            _log.info("some rows of %s are read without chunks: %s", self.name, error)
            return None
        chunk = Chunk(covered.from_us, covered.to_us, blocks, billed)
        indexed = IndexedChunk(chunk, segment)
        if self._keep(indexed, generation) and self._others is not None:
            giving = asyncio.create_task(self._others.put(*indexed))  # no reader waits for it
            self._giving.add(giving)
            giving.add_done_callback(self._giving.discard)
        return chunk

    async def _from_others(self, stretch: Stretch) -> IndexedChunk | None:
        """Return the chunk that begins where `stretch` does, if another instance has read it; else None."""
        indexed = None if self._others is None else await self._others.get(stretch.from_us)
        # A longer one would overlap what is at hand, or reach beyond this instance's horizon.
        if indexed is None or indexed.chunk.to_us > stretch.to_us:
            return None
        self.reads["from_others"] += 1
        return indexed

    def _keep(self, indexed: IndexedChunk, generation: int) -> bool:
        """Keep a chunk whose reading began under `generation`; return whether nothing was erased since."""
        chunk = indexed.chunk
        self.lengths.note(chunk.to_us - chunk.from_us, chunk.row_count, chunk.size)
        is_current = self._shelf.generation == generation
        if is_current:
            self._shelf.add(self.name, chunk)
            self._shelf.keys.add(self.name, indexed.segment)
        return is_current

    async def _fetch(self, stretch: Stretch, lookback_us: int, *, descending: bool) -> "_Fetched":
        """Return the rows of a stretch from the store, each with whether it is a copy, as of this look-back."""
        # An export names the rows once; a page names its candidates twice, and may pay for them twice.
        query = Export(
            table=self.name,
            from_us=stretch.from_us,
            to_us=stretch.to_us,
            lookback_us=lookback_us,
            columns=self.columns,
            descending=descending,
            limit=self._sizes.most_rows,
            max_bytes=self._sizes.most_bytes,
            marks_copies=True,
            purpose="page",
        )
        try:
            answer = await self._runner.rows(query)
        except QueryTooExpensiveError:  # refused, at no cost; the next one is shorter
            self.lengths.note(stretch.to_us - stretch.from_us, 1_000 * self._sizes.target_rows, 0)
            return _Fetched(None, [], None)
        covered = _covered(stretch, answer, self._sizes.most_rows, descending=descending)
        return _Fetched(covered, answer.rows[::-1] if descending else answer.rows, answer.bytes_processed)

    def _assemble(
        self, covered: Stretch, rows: list[Row], earlier: Sequence[Segment] | None
    ) -> tuple[tuple[Block, ...], Segment]:
        """Return the blocks of the originals among `rows`, and the keys of all.

        Without `earlier`, which has the keys of the look-back, the store has marked the copies.

        Raises:
            TypeError, ValueError: as of `RowCodec.blocks`.
        """
        places = [position_of(row) for row in rows]
        segment = segment_of(covered, places)
        marks = [row.pop(IS_COPY) for row in rows]
        if earlier is not None:
            marks = copies_in(segment, earlier, self._lookback_us)
        repeated = [False, *map(eq, places[1:], places)]
        kept = [
            (place, row)
            for place, row, is_copy, is_repeated in zip(places, rows, marks, repeated, strict=False)
            if not is_copy and not is_repeated
        ]
        return self.codec.blocks(kept), segment


class _Fetched(NamedTuple):
    """The part of a stretch of which a store returned every row, its rows in order, and what they cost."""

    covered: Stretch | None
    rows: list[Row]
    billed: int | None


def _covered(stretch: Stretch, answer: Answer, most_rows: int, *, descending: bool) -> Stretch | None:
    """Return the part of a stretch of which an answer has every row; None if it is not even one instant."""
    rows = answer.rows
    if not answer.cut and len(rows) < most_rows:
        return stretch
    last_us = position_of(rows[-1]).ingest_us  # more rows may have this stamp
    covered = Stretch(last_us + 1, stretch.to_us) if descending else Stretch(stretch.from_us, last_us)
    return covered if covered.from_us < covered.to_us else None
