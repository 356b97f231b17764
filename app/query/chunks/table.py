"""The chunks of one table: those at hand, and those being read."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from operator import eq
from typing import NamedTuple

from app.query.chunks.chunk import Block, Chunk, RowCodec
from app.query.chunks.keys import RowKeys, copies_in, keys_of
from app.query.chunks.plan import Lengths, Sizes
from app.query.chunks.shared import IndexedChunk, SharedChunks
from app.query.chunks.shelf import Shelf
from app.query.request.scan import position_of
from app.runtime.single_flight import SingleFlight
from app.runtime.time_range import TimeRange
from app.schema.table import Table
from app.stores.query import IS_COPY, Export
from app.stores.source import Answer, QueryRunner, QueryTooExpensiveError, Row

_log = logging.getLogger("sluice.query")


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
        self._flights = SingleFlight[TimeRange, Chunk | None]()
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
        span = next((each for each in self._flights if at_us in each), None)
        if span is not None:
            self.reads["shared"] += 1
        else:
            span = self.lengths.span(at_us, self._gap(at_us, horizon_us), goes_on=goes_on)
        work = partial(self._read, span, self._shelf.generation, descending=descending)
        chunk, _ = await self._flights.run(span, work)
        # A chunk may be shorter than its span, and a flight may have been joined at its other end.
        return chunk if chunk is not None and at_us in chunk else None

    def _gap(self, at_us: int, horizon_us: int) -> TimeRange:
        """Return the span around `at_us` of which nothing is at hand, or being read."""
        gap = self._shelf.gap(self.name, at_us)
        low_us = max((each.to_us for each in self._flights if each.to_us <= at_us), default=gap.from_us)
        high_us = min((each.from_us for each in self._flights if each.from_us > at_us), default=gap.to_us)
        return TimeRange(max(low_us, gap.from_us), min(high_us, gap.to_us, horizon_us))

    async def _read(self, span: TimeRange, generation: int, *, descending: bool) -> Chunk | None:
        if (indexed := await self._from_others(span)) is not None:
            self._keep(indexed, generation)
            return indexed.chunk
        self.reads["read"] += 1
        keys = self._shelf.keys
        earlier = keys.before(self.name, span.from_us, self._lookback_us)
        fetched = await self._fetch(span, 0 if earlier is not None else self._lookback_us, descending=descending)
        billed = fetched.billed
        if earlier is not None and fetched.covered is not None and fetched.covered.from_us > span.from_us:
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

    async def _from_others(self, span: TimeRange) -> IndexedChunk | None:
        """Return the chunk that begins where `span` does, if another instance has read it; else None."""
        indexed = None if self._others is None else await self._others.get(span.from_us)
        # A longer one would overlap what is at hand, or reach beyond this instance's horizon.
        if indexed is None or indexed.chunk.to_us > span.to_us:
            return None
        self.reads["from_others"] += 1
        return indexed

    def _keep(self, indexed: IndexedChunk, generation: int) -> bool:
        """Keep a chunk whose reading began under `generation`; return whether nothing was erased since."""
        chunk = indexed.chunk
        self.lengths.note(chunk.length_us, chunk.row_count, chunk.size)
        is_current = self._shelf.generation == generation
        if is_current:
            self._shelf.add(self.name, chunk)
            self._shelf.keys.add(self.name, indexed.segment)
        return is_current

    async def _fetch(self, span: TimeRange, lookback_us: int, *, descending: bool) -> "_Fetched":
        """Return the rows of a span from the store, each with whether it is a copy, as of this look-back."""
        # An export names the rows once; a page names its candidates twice, and may pay for them twice.
        query = Export(
            table=self.name,
            within=span,
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
            self.lengths.note(span.length_us, 1_000 * self._sizes.target_rows, 0)
            return _Fetched(None, [], None)
        covered = _covered(span, answer, self._sizes.most_rows, descending=descending)
        return _Fetched(covered, answer.rows[::-1] if descending else answer.rows, answer.bytes_processed)

    def _assemble(
        self, covered: TimeRange, rows: list[Row], earlier: Sequence[RowKeys] | None
    ) -> tuple[tuple[Block, ...], RowKeys]:
        """Return the blocks of the originals among `rows`, and the keys of all.

        Without `earlier`, which has the keys of the look-back, the store has marked the copies.

        Raises:
            TypeError, ValueError: as of `RowCodec.blocks`.
        """
        places = [position_of(row) for row in rows]
        segment = keys_of(covered, places)
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
    """The part of a span of which a store returned every row, its rows in order, and what they cost."""

    covered: TimeRange | None
    rows: list[Row]
    billed: int | None


def _covered(span: TimeRange, answer: Answer, most_rows: int, *, descending: bool) -> TimeRange | None:
    """Return the part of a span of which an answer has every row; None if it is not even one instant."""
    rows = answer.rows
    if not answer.cut and len(rows) < most_rows:
        return span
    last_us = position_of(rows[-1]).ingest_us  # more rows may have this stamp
    covered = TimeRange(last_us + 1, span.to_us) if descending else TimeRange(span.from_us, last_us)
    return covered if covered.from_us < covered.to_us else None
