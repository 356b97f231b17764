"""A QueryRunner that answers what is loaded from memory, loads what pages need, and passes on any other query."""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from app.runtime.clock import Clock
from app.runtime.instants import SECOND_US, TimeRange
from app.runtime.threads import run_in_daemon_thread
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend
from app.stores.query import ArrowQuery, Count, Query, Rows, State, Statistics, beyond
from app.stores.source import Answer, LearnHorizon, Plan, QueryError, QueryRunner, Row
from app.stores.window.database import Database, statement_of
from app.stores.window.loader import Loader
from app.stores.window.ranges import MOST_LOADS, Loaded

_MARGIN, _WIDER = 2, 8
_log = logging.getLogger("sluice.query")


class Window:
    """Answers settled queries of what is loaded; all else goes to `runner`. It is for one event loop."""

    def __init__(self, runner: QueryRunner, database: Database, loader: Loader) -> None:
        self.loader = loader
        self._runner, self._database = runner, database
        self.profile = runner.profile
        self.learn_horizon: LearnHorizon | None = runner.learn_horizon

    def horizon_us(self, table: str) -> int:
        """Return the settled horizon of `table`."""
        return self._runner.horizon_us(table)

    def version(self, table: str) -> int | None:
        """Return a number that changes as soon as `table` has new rows."""
        return self._runner.version(table)

    async def explain(self, query: Query) -> Plan:
        """Return what the store would run for `query`."""
        return await self._runner.explain(query)

    async def rows(self, query: Query) -> Answer:
        """Return the rows of `query`, in its order."""
        answer = None
        match query:
            case Rows(limit=int(limit)) if self._suits(query):
                return await self._page(query, limit)
            case Count() | Statistics() if (used := self._covering(query)) is not None:
                answer = await self._loaded(query, used)
            case _:
                pass
        return await self._runner.rows(query) if answer is None else answer

    async def arrow(self, query: ArrowQuery) -> AsyncGenerator[bytes, None]:
        """Yield all rows of `query` as the pieces of one Arrow IPC stream."""
        if isinstance(query, Rows) and (used := self._covering(query)) is not None:
            async with aclosing(self._database.queries.arrow(statement_of(query))) as pieces:
                schema = await anext(pieces)
                if self.loader.are_loaded(used):  # what is deleted from now on is still in the query's snapshot
                    self.loader.reads["loaded"] += 1
                    yield schema
                    async for piece in pieces:
                        yield piece
                    return
        async with aclosing(self._runner.arrow(query)) as pieces:
            async for piece in pieces:
                yield piece

    def _is_settled(self, query: Rows | Count | Statistics) -> bool:
        return (
            not isinstance(query, State)  # it reaches back to the begin of the retention
            and query.table in self.loader.tables
            and query.lookback_us == self.loader.lookback_us
            and query.within.to_us <= self.horizon_us(query.table)
        )

    def _covering(self, query: Rows | Count | Statistics) -> list[Loaded] | None:
        """Return the ranges that hold all that a query reads; None if some of it is not loaded."""
        return self.loader.ranges.covering(query.table, query.within) if self._is_settled(query) else None

    def _suits(self, query: Rows) -> bool:
        """Return whether to answer a page: what a filter reads through must be loaded, or fit into the window.

        Without conditions a page stops when it is full; with them it may have to read everything.
        """
        if not self._is_settled(query):
            return False
        if not query.conditions or self._covering(query) is not None:
            return True
        likely_bytes = self.loader.tables[query.table].lengths.likely_bytes(query.within.length_us)
        return likely_bytes <= self.loader.room_bytes / 2

    async def _loaded(self, query: Rows | Count | Statistics, used: Sequence[Loaded]) -> Answer | None:
        """Return the answer of a query that reads `used`; None if the store has to give it."""
        try:
            answer = await self._database.queries.rows(statement_of(query))
        except QueryError as error:  # it takes too much memory, say
            _log.info("a query of loaded rows goes to the store: %s", error)
            return None
        if not self.loader.are_loaded(used):
            return None
        self.loader.reads["loaded"] += 1
        return answer

    async def _page(self, query: Rows, limit: int) -> Answer:
        """Return the rows of a page from what is loaded, a few loads, and the store for the rest.

        Raises:
            QueryError: the store gave no answer.
        """
        table, descending = self.loader.tables[query.table], query.descending
        horizon_us = self.horizon_us(query.table)
        left = beyond(query.within, query.after, descending=descending)
        page, loads, wanted = _Page(query, limit), 0, limit * _MARGIN
        while left.length_us > 0 and not page.is_full:
            used, part = self._part(query, left, wanted)
            if used:
                answer = await self._loaded(page.rest(part), used)
                if answer is None:  # dropped meanwhile, or DuckDB could not answer
                    return await self._passed_on(page, left)
                page.add(answer)
                left = TimeRange(left.from_us, part.from_us) if descending else TimeRange(part.to_us, left.to_us)
                wanted *= _WIDER
                continue
            if loads == MOST_LOADS or (loads and table.lengths.is_far(left.length_us)):
                return await self._passed_on(page, left)
            at_us = left.to_us - 1 if descending else left.from_us
            fetched = await self.loader.load(table, at_us, horizon_us, descending=descending, goes_on=bool(loads))
            if fetched is None:
                return await self._passed_on(page, left)
            page.spend(fetched.billed)
            loads += 1
        return page.answer()

    def _part(self, query: Rows, left: TimeRange, wanted: int) -> tuple[list[Loaded], TimeRange]:
        """Return the loaded ranges with the first `wanted` rows or so, and the part of `left` that they hold."""
        used, rows, descending = list[Loaded](), 0, query.descending
        from_us, to_us = left.from_us, left.to_us
        for each in self.loader.ranges.run(query.table, left, descending=descending):
            used.append(each)
            from_us, to_us = max(each.within.from_us, left.from_us), min(each.within.to_us, left.to_us)
            share = min((wanted - rows) / max(each.rows, 1), 1.0)
            length_us = max(round(share * each.within.length_us), 1)
            if descending:
                from_us = max(from_us, to_us - length_us)
            else:
                to_us = min(to_us, from_us + length_us)
            rows += each.rows
            if rows >= wanted:
                break
        return used, TimeRange(from_us, left.to_us) if descending else TimeRange(left.from_us, to_us)

    async def _passed_on(self, page: "_Page", left: TimeRange) -> Answer:
        """Return the page with what the store finds in the rest of the range."""
        self.loader.reads["passed_on"] += 1
        answer = await self._runner.rows(page.rest(left))
        page.add(answer)
        page.spend(answer.bytes_processed)
        return page.answer()


class _Page:
    """Collects the rows of one query."""

    def __init__(self, query: Rows, limit: int) -> None:
        self._query, self._limit, self._rows = query, limit, list[Row]()
        self._size, self._is_cut = 0, False
        self._billed: int | None = None

    @property
    def is_full(self) -> bool:
        return self._is_cut or len(self._rows) >= self._limit

    def rest(self, part: TimeRange) -> Rows:
        """Return the query of the rows that are missing, of a part of the range."""
        max_bytes = self._query.max_bytes
        return msgspec.structs.replace(
            self._query,
            within=part,
            limit=self._limit - len(self._rows),
            max_bytes=None if max_bytes is None else max(max_bytes - self._size, 1),
        )

    def add(self, answer: Answer) -> None:
        self._rows += answer.rows
        self._size += answer.fetched_bytes
        self._is_cut = answer.cut

    def spend(self, billed: int | None) -> None:
        if billed is not None:
            self._billed = (self._billed or 0) + billed

    def answer(self) -> Answer:
        return Answer(self._rows, self._billed, self._size, self._is_cut)


def with_window(backend: Backend, settings: Settings, tables: Sequence[Table], clock: Clock) -> Backend:
    """Return `backend` with a window over its `tables`."""
    database = Database(tables, settings.query.window_bytes)

    def reader(runner: QueryRunner, reads: Counter[str]) -> Window:
        loader = Loader(
            runner,
            database,
            clock,
            lookback_us=round(settings.query.dedupe_lookback_s * SECOND_US),
            erasures=lambda: backend.eraser.generation,
            reads=reads,
        )
        return Window(runner, database, loader)

    async def close() -> None:
        await run_in_daemon_thread(database.close, "window-close")
        await backend.close()

    return msgspec.structs.replace(backend, reader=reader, close=close)
