"""Read the rows of a table: slice by slice, each row once, until a page is full or its budget is used up."""

from collections import deque
from collections.abc import Iterator

from app.environment import Environment
from app.query.read.slices import Density, cut, feed_slices
from app.query.request.filters import fingerprint
from app.query.request.parameters import COUNT_CAP, MAX_LIMIT
from app.query.request.scan import WITHOUT_CANARIES, Count, Now, Page, Scan, position_of
from app.record import CANARY_PREFIX
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import TimeRange
from app.schema.table import Table
from app.stores.query import Condition, LookUp, Position, Rows
from app.stores.query import Count as CountQuery
from app.stores.source import Answer, LookUpTooExpensiveError, QueryRunner, QueryTooExpensiveError, Row


class Budget:
    """Counts the cost of the queries of one request.

    Once its time or its bytes are used up, the page ends early, with a cursor to continue from. They do not stop a
    query that has begun. `page_bytes_left` is the size limit for the rows of the next query.
    """

    def __init__(self, environment: Environment, max_page_bytes: int | None = None) -> None:
        limits, self._clock = environment.settings.query, environment.clock
        self._max_bytes_processed = limits.query_max_bytes_billed
        self._ends_us = self._clock.elapsed_us() + round(limits.page_budget_s * MICROSECONDS)
        self.page_bytes_left = max_page_bytes or limits.max_page_bytes
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


class Feed:
    """Reads one table. Between requests it keeps only the row density, which saves queries."""

    def __init__(self, runner: QueryRunner, table: Table, environment: Environment) -> None:
        self.runner, self.table, self.environment = runner, table, environment
        self._names = tuple(column.name for column in table.columns)
        self._profile = profile = runner.profile
        self._density = Density(profile.partition_us)
        self._unit_us = max(profile.partition_us, profile.first_slice_us)  # the shortest range worth its own query

    def horizon_us(self) -> int:
        """Return the settled horizon: no row with an earlier timestamp can still appear."""
        return self.runner.horizon_us(self.table.name)

    def version(self) -> int | None:
        """Return a number that changes as soon as the table has new rows; None: the store does not know."""
        return self.runner.version(self.table.name)

    def now(self) -> Now:
        """Return the instant at which a request is evaluated."""
        now_us = self.environment.clock.now_us()
        # The clock has advanced since: use the same `now`, so that the longest window is not a microsecond too long.
        horizon_us = min(self.horizon_us(), now_us)
        return Now(now_us, horizon_us, now_us + self.environment.settings.store.max_lead_us + 1)

    async def learn_horizon(self) -> None:
        """Learn how far the table is settled, if that takes a query and is due."""
        if self.runner.learn_horizon is not None:
            await self.runner.learn_horizon()

    async def page(self, scan: Scan, budget: Budget) -> Page:
        """Read the next page of a scan.

        It has fewer rows than the limit at the end of the window, if the budget is used up, or if a slice cannot be
        read. In the last two cases `stopped_at` is the position reached, which may lie beyond the last row.

        Raises:
            QueryError: the store gave no answer, not even to the first query.
        """
        page = await self._read(_Search(scan), budget)
        stopped_at, remaining = page.stopped_at, scan.remaining
        edge_us = (
            (remaining.from_us if scan.descending else remaining.to_us) if stopped_at is None else stopped_at.ingest_us
        )
        covered_us = remaining.to_us - edge_us if scan.descending else edge_us - remaining.from_us
        if covered_us > 0:
            self._density.note(fingerprint(scan.conditions), covered_us, len(page.rows))
        return page

    def _slices(self, search: "_Search") -> Iterator[TimeRange]:
        profile, scan = self._profile, search.scan
        return feed_slices(
            scan.remaining,
            descending=scan.descending,
            first_us=self._density.slice_us(fingerprint(scan.conditions), search.missing, profile.first_slice_us),
            partition_us=profile.partition_us,
            longest_us=profile.longest_slice_us,
        )

    async def _read(self, search: "_Search", budget: Budget) -> Page:
        planned, descending = self._slices(search), search.scan.descending
        waiting = deque[TimeRange]()  # the rest of a slice that one query did not finish
        while part := waiting.popleft() if waiting else next(planned, None):
            if search.begun and budget.is_used_up:
                return search.so_far(_edge(part, descending=descending))
            try:
                answer = await self.runner.rows(self._page_query(search, part, budget))
            except QueryTooExpensiveError:
                pieces = cut(part, descending=descending, unit_us=self._profile.first_slice_us)
                if not pieces and not search.begun:
                    raise
                if not pieces:
                    return search.so_far(_edge(part, descending=descending))
                waiting.extendleft(reversed(pieces))
                continue
            budget.spend(answer)
            if search.take(answer.rows, cut=answer.cut):
                return search.full()
            if search.left_off is not None:  # the query stopped before the end of the slice
                waiting.appendleft(_remainder(part, search.left_off, descending=descending))
        return Page(scan=search.scan, rows=search.rows)

    async def versions(
        self, record_id: str | int, window: TimeRange, conditions: tuple[Condition, ...], limit: int
    ) -> list[Row]:
        """Return the newest `limit` versions of a record in `window`, newest first.

        The latest version is the greatest (`ingest_time`, `delivery_key`) of the rows that are not copies: a
        redelivery of an old version does not replace a newer one. The newest rows are searched first, then all others.

        Raises:
            LookUpTooExpensiveError: there are too few versions in as much of the window as one query can read.
        """
        rows: list[Row] = []
        edge_us = max(window.from_us, window.to_us - self._profile.first_look_up_us)
        for part in (TimeRange(edge_us, window.to_us), TimeRange(window.from_us, edge_us)):
            if part.length_us <= 0 or len(rows) == limit:
                break
            query = LookUp(
                table=self.table.name,
                within=part,
                conditions=conditions,
                lookback_us=self.environment.lookback_us,
                columns=self._names,
                id_column=self.table.id.name if self.table.id else "",
                record_id=record_id,
                limit=limit - len(rows),
            )
            try:
                rows += (await self.runner.rows(query)).rows
            except QueryTooExpensiveError as error:
                raise LookUpTooExpensiveError(error.limit_bytes, error.needed_bytes, len(rows), part.to_us) from error
        return rows

    async def count(self, scan: Scan, budget: Budget) -> Count | None:
        """Return how many rows of a window match, as far as the scan asks for it; a capped count stops at COUNT_CAP.

        The window of a resumed scan begins after the last row of the scan before it. Of an export, only the rows count
        that it has.

        Raises:
            QueryError: the store gave no answer.
        """
        if scan.count == "none":
            return None
        cap = COUNT_CAP if scan.count == "capped" else None
        is_export = scan.limit is None
        window, total = scan.remaining if is_export else scan.window, 0
        # A count reads next to nothing, so less than a partition is not worth a query.
        first_us = self._unit_us if cap is not None else max(window.length_us, 1)
        slices = feed_slices(
            window, descending=True, first_us=first_us, partition_us=self._profile.partition_us, longest_us=None
        )
        for part in slices:
            query = CountQuery(
                table=self.table.name,
                within=part,
                conditions=scan.conditions,
                lookback_us=self.environment.lookback_us,
                descending=scan.descending,
                after=scan.after if scan.is_resumed or is_export else None,
                purpose="export" if is_export else "page",
            )
            answer = await self.runner.rows(query)
            budget.spend(answer)
            total += answer.rows[0]["records"]
            if cap is not None and total >= cap:
                return Count(cap, "gte")
        return Count(total, "eq")

    def explained(self, scan: Scan) -> Rows:
        """Return the first query of a page."""
        search = _Search(scan)
        return self._page_query(search, next(self._slices(search), scan.remaining), None)

    def _page_query(self, search: "_Search", part: TimeRange, budget: Budget | None) -> Rows:
        served = {column.name for column in search.scan.columns} | {"ingest_time", "delivery_key"}
        return Rows(
            table=self.table.name,
            within=part,
            conditions=search.conditions,
            lookback_us=self.environment.lookback_us,
            columns=tuple(name for name in self._names if name in served),
            descending=search.scan.descending,
            after=search.after,
            limit=search.missing,
            max_bytes=None if budget is None else max(budget.page_bytes_left, 1),
        )


class _Search:
    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self._limit = (scan.limit or MAX_LIMIT) + 1  # one extra: are there more?
        # Canaries are few, so they are dropped here and not filtered in SQL: a store would test every row of a slice,
        # and a page of few rows among many took half as long again.
        self._drops_canaries = WITHOUT_CANARIES in scan.conditions
        self.conditions = tuple(each for each in scan.conditions if each != WITHOUT_CANARIES)
        self.rows: list[Row] = []
        self.after = scan.after
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
        if cut or len(rows) == self.missing:  # there may be more
            self.after = self.left_off = position_of(rows[-1])
        self.rows.extend(row for row in rows if not self._is_dropped(row))
        return cut or not self.missing

    def _is_dropped(self, row: Row) -> bool:
        key: str = row["delivery_key"]
        return self._drops_canaries and key.startswith(CANARY_PREFIX)

    def full(self) -> Page:
        """Return the page, without the extra row that only shows that there are more."""
        if not self.missing:
            del self.rows[-1]
            return Page(scan=self.scan, rows=self.rows, stopped_at=position_of(self.rows[-1]))
        return Page(scan=self.scan, rows=self.rows, stopped_at=self.after)

    def so_far(self, edge: Position) -> Page:
        """Return the rows before `edge`, where the next slice would begin, or before the position reached in it."""
        return Page(scan=self.scan, rows=self.rows, stopped_at=self.left_off or edge)


def _edge(part: TimeRange, *, descending: bool) -> Position:
    return Position(part.to_us if descending else part.from_us, "")


def _remainder(part: TimeRange, after: Position, *, descending: bool) -> TimeRange:
    return TimeRange(part.from_us, after.ingest_us + 1) if descending else TimeRange(after.ingest_us, part.to_us)
