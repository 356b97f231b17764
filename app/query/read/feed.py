"""Read the rows of a table: slice by slice, each row once, until a page is full or its budget is used up."""

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from app.query.read.slices import Density, cut, feed_slices, look_up_slices
from app.query.request.filters import fingerprint
from app.query.request.requests import WITHOUT_CANARIES
from app.query.request.scan import Scan, View, originals, position_of
from app.record import CANARY_PREFIX
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.time_range import TimeRange
from app.schema.table import Table
from app.stores.query import CANDIDATES, Condition, Count, LookUp, Position, RowQuery
from app.stores.source import Answer, LookUpTooExpensiveError, QueryRunner, QueryTooExpensiveError, Row

# If most rows turn out to be copies (a redelivery after an outage), the next query examines more candidates.
_CANDIDATES_GROWTH = 8
_MAX_CANDIDATES = 65_536


class Budget:
    """Counts the cost of the queries of one request.

    Once `max_s` or `max_bytes_processed` is used up, the page ends early, with a cursor to continue from. They do not
    stop a query that has begun. `page_bytes_left` is the size limit for the rows of the next query.
    """

    def __init__(self, clock: Clock, *, max_s: float, max_bytes_processed: int, max_page_bytes: int) -> None:
        self._clock, self._max_bytes_processed = clock, max_bytes_processed
        self._ends_us = clock.elapsed_us() + round(max_s * MICROSECONDS)
        self.page_bytes_left = max_page_bytes
        self.bytes_processed: int | None = None

    def spend(self, answer: Answer) -> None:
        """Deduct the cost of a query."""
        self.page_bytes_left -= answer.fetched_bytes
        if answer.bytes_processed is not None:
            self.bytes_processed = (self.bytes_processed or 0) + answer.bytes_processed

    @property
    def is_used_up(self) -> bool:
        """Whether no further query should begin."""
        return (
            self.page_bytes_left <= 0
            or (self.bytes_processed or 0) >= self._max_bytes_processed
            or self._clock.elapsed_us() >= self._ends_us
        )


class PageRows(msgspec.Struct, frozen=True):
    """The rows read, and where reading stopped before the window's end (None: the window is read)."""

    rows: list[Row]
    stopped_at: Position | None


class Feed:
    """Reads one table. Between requests it keeps only the row density, which saves queries."""

    def __init__(self, runner: QueryRunner, table: Table, *, lookback_us: int) -> None:
        self.runner, self.table, self.lookback_us = runner, table, lookback_us
        self._names = tuple(column.name for column in table.columns)
        self._density = Density(runner.partition_us)
        self._unit_us = max(runner.partition_us, runner.first_slice_us)  # the shortest range worth its own query

    def horizon_us(self) -> int:
        """Return the settled horizon: no row with an earlier timestamp can still appear."""
        return self.runner.horizon_us(self.table.name)

    async def learn_horizon(self) -> None:
        """Learn how far the table is settled, if that takes a query and is due."""
        if self.runner.learn_horizon is not None:
            await self.runner.learn_horizon()

    async def page(self, scan: Scan, view: View, limit: int, budget: Budget) -> PageRows:
        """Read the next `limit` rows of a scan.

        It returns fewer at the end of the window, if the budget is used up, or if a slice cannot be read. In the last
        two cases `stopped_at` is the position reached, which may lie beyond the last row.

        Raises:
            QueryError: the store gave no answer, not even to the first query.
        """
        planned = self._slices(scan, view, limit)
        reading = await self._read(scan, planned, _Search(scan, view, limit + 1), budget)  # one extra: are there more?
        stopped_at, remaining = reading.stopped_at, scan.remaining
        edge_us = (
            (remaining.from_us if scan.descending else remaining.to_us) if stopped_at is None else stopped_at.ingest_us
        )
        covered_us = remaining.to_us - edge_us if scan.descending else edge_us - remaining.from_us
        if covered_us > 0:
            self._density.note(fingerprint(view.conditions), covered_us, len(reading.rows))
        return reading

    def _slices(self, scan: Scan, view: View, limit: int) -> Iterator[TimeRange]:
        runner, remaining = self.runner, scan.remaining
        first_us = self._density.slice_us(fingerprint(view.conditions), limit + 1, runner.first_slice_us)
        return feed_slices(
            remaining,
            descending=scan.descending,
            first_us=first_us,
            partition_us=runner.partition_us,
            longest_us=runner.longest_slice_us,
        )

    async def _read(self, scan: Scan, planned: Iterator[TimeRange], search: "_Search", budget: Budget) -> PageRows:
        waiting = deque[TimeRange]()  # the rest of a slice that one query did not finish
        while part := waiting.popleft() if waiting else next(planned, None):
            if search.begun and budget.is_used_up:
                return search.so_far(_edge(part, descending=scan.descending))
            query = self._page_query(search, part, budget)
            try:
                answer = await self.runner.rows(query)
            except QueryTooExpensiveError:
                pieces = cut(part, descending=scan.descending, unit_us=self.runner.first_slice_us)
                if not pieces and not search.begun:
                    raise
                if not pieces:
                    return search.so_far(_edge(part, descending=scan.descending))
                waiting.extendleft(reversed(pieces))
                continue
            budget.spend(answer)
            if search.take(answer.rows, cut=answer.cut):
                return search.full()
            if search.left_off is not None:  # the query stopped before the end of the slice
                waiting.appendleft(_remainder(part, search.left_off, descending=scan.descending))
        return PageRows(search.rows, None)

    async def versions(self, record_id: str | int, window: TimeRange, view: View, limit: int) -> list[Row]:
        """Return the newest `limit` versions of a record in `window`, newest first.

        The latest version is the greatest (`ingest_time`, `delivery_key`) of the rows that are not copies: a
        redelivery of an old version does not replace a newer one.

        Raises:
            LookUpTooExpensiveError: there are too few versions in as much of the window as can be read.
        """
        rows: list[Row] = []
        for part in look_up_slices(window, first_us=self.runner.first_look_up_us):
            query = LookUp(
                table=self.table.name,
                within=part,
                conditions=view.conditions,
                lookback_us=self.lookback_us,
                columns=self._names,
                id_column=self.table.id.name if self.table.id else "",
                record_id=record_id,
                limit=limit - len(rows),
            )
            try:
                rows += (await self.runner.rows(query)).rows
            except QueryTooExpensiveError as error:
                raise LookUpTooExpensiveError(error.limit_bytes, error.needed_bytes, len(rows), part.to_us) from error
            if len(rows) == limit:
                break
        return rows

    async def count(self, scan: Scan, conditions: Sequence[Condition], cap: int | None, budget: Budget) -> int:
        """Return how many rows of a window match `conditions`; at least `cap` if there are that many.

        The window of a resumed scan begins after the last row of the scan before it.

        Raises:
            QueryError: the store gave no answer.
        """
        window, after, total = scan.window, scan.after if scan.is_resumed else None, 0
        # A count reads next to nothing, so less than a partition is not worth a query.
        first_us = self._unit_us if cap is not None else max(window.length_us, 1)
        slices = feed_slices(
            window,
            descending=True,
            first_us=first_us,
            partition_us=self.runner.partition_us,
            longest_us=None,
        )
        for part in slices:
            query = Count(
                table=self.table.name,
                within=part,
                conditions=tuple(conditions),
                lookback_us=self.lookback_us,
                after=after,
            )
            answer = await self.runner.rows(query)
            budget.spend(answer)
            total += answer.rows[0]["records"]
            if cap is not None and total >= cap:
                break
        return total

    def explained(self, scan: Scan, view: View, limit: int) -> tuple[RowQuery, list[TimeRange]]:
        """Return the first query of a page, and the slices to read until it is full."""
        slices, remaining = [*self._slices(scan, view, limit)], scan.remaining
        part = slices[0] if slices else remaining
        return self._page_query(_Search(scan, view, limit + 1), part, None), slices

    def _page_query(self, search: "_Search", part: TimeRange, budget: Budget | None) -> RowQuery:
        served = {column.name for column in search.view.columns} | {"ingest_time", "delivery_key"}
        return RowQuery(
            table=self.table.name,
            within=part,
            conditions=search.conditions,
            lookback_us=self.lookback_us,
            columns=tuple(name for name in self._names if name in served),
            descending=search.scan.descending,
            after=search.after,
            limit=search.missing,
            candidates=search.candidates,
            max_bytes=None if budget is None else max(budget.page_bytes_left, 1),
        )


class _Search:
    def __init__(self, scan: Scan, view: View, limit: int) -> None:
        self.scan, self.view, self._limit = scan, view, limit
        # Canaries are few, so they are dropped here and not filtered in SQL: a store would test every row of a slice,
        # and a page of few rows among many took half as long again.
        self._drops_canaries = WITHOUT_CANARIES in view.conditions
        self.conditions = tuple(each for each in view.conditions if each != WITHOUT_CANARIES)
        self.rows: list[Row] = []
        self.after = scan.after
        self.candidates = limit + limit // 8 + 8  # a few copies among them need no second query
        self.left_off: Position | None = None
        self.begun = False

    @property
    def missing(self) -> int:
        """How many rows are still missing."""
        return self._limit - len(self.rows)

    def take(self, rows: list[Row], *, cut: bool) -> bool:
        """Add the rows of a query; return whether the page is full. Sets `left_off` if the query ended too early."""
        self.begun = True
        self.left_off = None
        whole = not cut and (not rows or (rows[-1][CANDIDATES] < self.candidates and len(rows) < self.missing))
        last = position_of(rows[-1]) if rows else None
        self.rows.extend(row for row in originals(rows) if not self._is_dropped(row))
        if not whole and last is not None:
            self.after = self.left_off = last
            self.candidates = min(self.candidates * _CANDIDATES_GROWTH, _MAX_CANDIDATES)
        return cut or not self.missing

    def _is_dropped(self, row: Row) -> bool:
        key: str = row["delivery_key"]
        return self._drops_canaries and key.startswith(CANARY_PREFIX)

    def full(self) -> PageRows:
        """Return the page, without the extra row that only shows that there are more."""
        if not self.missing:
            del self.rows[-1]
            return PageRows(self.rows, position_of(self.rows[-1]))
        return PageRows(self.rows, self.after)

    def so_far(self, edge: Position) -> PageRows:
        """Return the rows before `edge`, where the next slice would begin, or before the position reached in it."""
        return PageRows(self.rows, self.left_off or edge)


def _edge(part: TimeRange, *, descending: bool) -> Position:
    return Position(part.to_us if descending else part.from_us, "")


def _remainder(part: TimeRange, after: Position, *, descending: bool) -> TimeRange:
    return TimeRange(part.from_us, after.ingest_us + 1) if descending else TimeRange(after.ingest_us, part.to_us)
