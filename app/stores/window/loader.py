"""Load ranges of a store's tables into the database, each once however many ask for it, and forget them."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar, TypeVarTuple

import duckdb
import msgspec

from app.runtime.clock import Clock
from app.runtime.instants import SECOND_US, TimeRange
from app.runtime.single_flight import SingleFlight
from app.schema.table import Table
from app.stores.query import Rows
from app.stores.source import END_OF_STREAM, QueryRunner, QueryTimeoutError, QueryTooExpensiveError, streamed_bytes
from app.stores.window.database import KEY_BYTES, Database, Load, Staged
from app.stores.window.ranges import Lengths, Loaded, Ranges
from app.telemetry.redaction import first_line

TTL_US = 3_600 * SECOND_US
"""How long a range is kept, like a cached response: after that, nothing is left of what retention deleted."""
_TYPICAL_ROW_BYTES = 1_000
_OVERHEAD = 1.1  # bytes of memory for a byte of Arrow, as measured (docs/decisions/0020-the-window.md)
_EXCESS = 1.25  # of the look-back; keys are deleted a few times in one, not at every load
LONGEST_LOAD_S = 60.0
"""A query has a limit of its own, and its rows follow in a second; but a dead connection says nothing."""
_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")
_log = logging.getLogger("sluice.query")


class LoadedTable:
    """What is known of a table: `keys` is the range of which every key is kept, up to the newest load.

    `losses` counts losses of keys or rows: any load in progress must then be discarded. `forgotten` counts evictions
    of old keys: only loads that detect copies by those keys must be discarded.
    """

    def __init__(self, table: Table, load_bytes: int) -> None:
        self.name, self.columns = table.name, tuple(column.name for column in table.columns)
        self.lengths = Lengths(load_bytes * 3 // 4)
        self.flights = SingleFlight[TimeRange, "Fetched | None"]()
        self.keys: TimeRange | None = None
        self.key_count = self.losses = self.forgotten = 0
        self.is_unfit = False

    def lose_keys(self) -> None:
        """Note that the keys are lost."""
        self.keys, self.key_count = None, 0
        self.losses += 1


class Fetched(msgspec.Struct, frozen=True):
    """A range that was loaded, and the bytes billed for it."""

    within: TimeRange
    billed: int | None


class Loader:
    """Keeps ranges in the bytes of `database`, a third of which is for a load under way. It is for one event loop.

    Ranges are read with a look-back of `lookback_us`, and counted in `reads` by where they came from. Everything is
    dropped when `erasures` returns another number, since an erased record may be loaded.
    """

    def __init__(  # noqa: PLR0913 - what ranges are read with
        self,
        runner: QueryRunner,
        database: Database,
        clock: Clock,
        *,
        lookback_us: int,
        erasures: Callable[[], int],
        reads: Counter[str],
    ) -> None:
        self._max_bytes = database.max_bytes
        self.tables = {name: LoadedTable(table, self._max_bytes // 3) for name, table in database.tables.items()}
        self.lookback_us, self.reads = lookback_us, reads
        self._runner, self._database, self._clock = runner, database, clock
        self._erasures, self._seen_erasures = erasures, erasures()
        self._ranges = Ranges()

    @property
    def ranges(self) -> Ranges:
        """The ranges as they are now, nothing erased or overdue among them."""
        self._forget()
        return self._ranges

    @property
    def max_keys(self) -> int:
        """How many keys of a table are kept at most: without those of a whole look-back, none is of use."""
        return self._max_bytes // 2 // KEY_BYTES

    @property
    def room_bytes(self) -> int:
        """How many bytes the loaded ranges may take."""
        keys = sum(table.key_count for table in self.tables.values())
        return self._max_bytes - self._max_bytes // 3 - keys * KEY_BYTES

    def are_loaded(self, used: Sequence[Loaded]) -> bool:
        """Return whether nothing of `used` was dropped until now; then a query that has ended saw all its rows."""
        self._forget()
        return all(each.is_loaded for each in used)

    async def load(
        self, table: LoadedTable, at_us: int, horizon_us: int, *, descending: bool, goes_on: bool
    ) -> Fetched | None:
        """Load the range that holds `at_us`, or join whoever does; None if it cannot be loaded.

        No row at or after `horizon_us` is settled. `goes_on`: the caller has just loaded what is next to it.

        Raises:
            QueryError: the store gave no answer.
        """
        if table.is_unfit:
            return None
        span = next((each for each in table.flights if at_us in each), None)
        if span is not None:
            self.reads["shared"] += 1
        else:
            gap = self._gap(table, at_us, horizon_us)
            span = table.lengths.span(at_us, gap, descending=descending, goes_on=goes_on)
        fetched, _ = await table.flights.run(span, partial(self._fly, table, span, descending=descending))
        # A load may be shorter than its span, and a flight may have been joined at its other end.
        return fetched if fetched is not None and at_us in fetched.within else None

    def _gap(self, table: LoadedTable, at_us: int, horizon_us: int) -> TimeRange:
        """Return the range around `at_us` of which nothing is loaded, or being loaded."""
        gap = self.ranges.gap(table.name, at_us)
        low_us = max((each.to_us for each in table.flights if each.to_us <= at_us), default=gap.from_us)
        high_us = min((each.from_us for each in table.flights if each.from_us > at_us), default=gap.to_us)
        return TimeRange(max(low_us, gap.from_us), min(high_us, gap.to_us, horizon_us))

    async def _fly(self, table: LoadedTable, span: TimeRange, *, descending: bool) -> Fetched | None:
        self.reads["read"] += 1
        load = await self._change(self._database.load, table.name)
        try:
            return await self._load(table, span, load, descending=descending)
        except QueryTooExpensiveError:  # refused, at no cost; the next one is shorter
            table.lengths.note(span.length_us, math.inf)
            return None
        except (duckdb.Error, ValueError, RuntimeError) as error:
            table.is_unfit = not isinstance(error, duckdb.OutOfMemoryException)
            _log.warning("rows of %s cannot be loaded, so each page is a query: %s", table.name, first_line(error))
            return None
        finally:
            self._change(load.close)

    async def _load(self, table: LoadedTable, span: TimeRange, load: Load, *, descending: bool) -> Fetched | None:
        """Read a span, or the part of it that fits, and add it to the ranges."""
        losses, forgotten, knows_copies = table.losses, table.forgotten, self._knows_copies(table, span)
        max_bytes = min(self._max_bytes // 3, int(self.room_bytes / _OVERHEAD))
        query = Rows(
            table=table.name,
            within=span,
            lookback_us=0 if knows_copies else self.lookback_us,
            columns=table.columns,
            descending=descending,
            limit=max(max_bytes // _TYPICAL_ROW_BYTES, 2),
            marks_copies=True,
        )
        billed = list[int]()
        streamed_bytes.set(billed)
        try:
            async with asyncio.timeout(LONGEST_LOAD_S):
                staged, size = await self._stage(query, load, max_bytes)
        except TimeoutError:
            raise QueryTimeoutError(LONGEST_LOAD_S) from None
        within = span if staged.is_whole else _beside(span, staged, descending=descending)
        table.lengths.note(max(within.length_us, 1), size)
        if within.length_us <= 0 or (knows_copies and within.from_us != span.from_us):
            return None  # not even an instant; or the keys of the rows just before it are missing
        self._forget()
        if table.losses != losses or (knows_copies and table.forgotten != forgotten):
            return None
        keeps_keys = self._keeps_keys(table, within, staged.rows)
        finishing = self._change(partial(load.finish, span, within, self.lookback_us, keeps_keys=keeps_keys))
        try:
            rows, table.key_count = await asyncio.shield(finishing)
        except asyncio.CancelledError:  # it goes on
            self._change(self._database.delete, table.name, within)
            raise
        except duckdb.Error:
            table.lose_keys()
            self._change(self._database.delete_keys, table.name)
            raise
        self._forget()
        if table.losses != losses:
            self._change(self._database.delete, table.name, within)
            return None
        due_us = self._clock.elapsed_us() + TTL_US
        self._ranges.add(Loaded(table.name, within, rows, round(size * _OVERHEAD), due_us))
        return Fetched(within, sum(billed) if billed else None)

    async def _stage(self, query: Rows, load: Load, max_bytes: int) -> tuple[Staged, int]:
        """Stage the rows of a query as far as they fit; return them, and how many bytes they have."""
        rows = size = 0
        async with aclosing(self._runner.arrow(query)) as pieces:
            schema = await anext(pieces)
            async for piece in pieces:
                if piece == END_OF_STREAM or size >= max_bytes:
                    break
                rows += await self._change(load.stage, schema, piece)
                size += len(piece)
        is_whole = rows < (query.limit or 0) and size < max_bytes
        return await self._change(partial(load.staged, is_whole=is_whole)), size

    def _knows_copies(self, table: LoadedTable, span: TimeRange) -> bool:
        """Return whether the keys of the look-back before a span are kept."""
        keys = table.keys
        return keys is not None and keys.from_us <= span.from_us - self.lookback_us and keys.to_us >= span.from_us

    def _keeps_keys(self, table: LoadedTable, within: TimeRange, rows: int) -> bool:
        """Return whether the keys of a load of `rows` are to be kept, which is so if none is newer; make room."""
        keys = table.keys
        if keys is not None and within.to_us <= keys.to_us:
            return False
        fits = table.key_count + rows <= self.max_keys
        before = keys
        if keys is None or keys.to_us != within.from_us or not fits:
            self._change(self._database.delete_keys, table.name)
            keys = within
        elif within.to_us - keys.from_us > _EXCESS * self.lookback_us:
            keys = TimeRange(within.to_us - self.lookback_us, within.to_us)
            self._change(self._database.delete_keys, table.name, keys.from_us)
        table.forgotten += keys is not before
        table.keys = TimeRange(keys.from_us, within.to_us)
        return True

    def _forget(self) -> None:
        """Drop everything after an erasure, what is due, and what there is no room for."""
        erasures = self._erasures()
        if erasures != self._seen_erasures:
            self._seen_erasures = erasures
            self._ranges.clear()
            for table in self.tables.values():
                table.lose_keys()
            self._change(self._database.clear)
        for dropped in self._ranges.drop(self._clock.elapsed_us(), self.room_bytes):
            self._change(self._database.delete, dropped.table, dropped.within)

    def _change(self, work: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> asyncio.Future[_Result]:
        """Change the database; one thread does so, in the order of these calls."""
        return asyncio.get_running_loop().run_in_executor(self._database.writer, work, *arguments)


def _beside(span: TimeRange, staged: Staged, *, descending: bool) -> TimeRange:
    """Return the part of a span of which all rows were staged: more may have the last one's stamp."""
    if descending:
        return TimeRange(staged.first_us + 1, span.to_us)
    return TimeRange(span.from_us, staged.last_us)
