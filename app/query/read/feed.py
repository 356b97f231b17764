"""Read the rows of a table, slice by slice, each once: until a page is full or its budget is used up, or to the end."""

from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import msgspec

from app.environment import Environment
from app.query.read.slices import Density, cut, feed_slices
from app.query.request.filters import fingerprint
from app.query.request.parameters import COUNT_CAP, MAX_LIMIT
from app.query.request.scan import WITHOUT_CANARIES, Count, Fold, Now, Page, Scan, position_of
from app.record import CANARY_PREFIX
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import SECOND_US, TimeRange, epoch_us
from app.schema.table import Table
from app.stores.query import Condition, LookUp, Occurrences, Position, Rows, State, beyond
from app.stores.source import END_OF_STREAM, Answer, QueryRunner, QueryTooExpensiveError, Row

_FIRST_ROWS = 100  # of one query of an export, so that the first byte arrives soon
_GROWTH = 4
_MOST_PIECES = 100
_FIRST_VERSIONS, _MOST_VERSIONS = 10_000, 160_000  # of a query of a state: more would take hundreds of megabytes
_PART_BYTES = 5_000_000  # several times as much is in memory at once: read, written, sent


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
        self._profile, self._density = runner.profile, Density(runner.profile.partition_us)

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
        remaining = await self._from_first_row(scan)
        page = await self._read(self._search(scan), remaining, budget)
        stopped_at = page.stopped_at
        edge_us = (
            (remaining.from_us if scan.descending else remaining.to_us) if stopped_at is None else stopped_at.ingest_us
        )
        covered_us = remaining.to_us - edge_us if scan.descending else edge_us - remaining.from_us
        if covered_us > 0:
            self._density.note(fingerprint(scan.conditions), covered_us, len(page.rows))
        return page

    async def _from_first_row(self, scan: Scan) -> TimeRange:
        """Return the range that a scan has left, for a state without the time before the table's first row."""
        remaining = scan.remaining
        if scan.fold is None or scan.after is not None or self._is_one_result(scan):
            return remaining
        stamps = Occurrences(purpose="page", table=self.table.name, conditions=())
        first = (await self.runner.rows(stamps)).rows[0]["first"]
        from_us = remaining.to_us if first is None else max(epoch_us(first), remaining.from_us)
        return TimeRange(min(from_us, remaining.to_us), remaining.to_us)

    def _slices(self, search: "_Search", remaining: TimeRange) -> Iterator[TimeRange]:
        profile, scan = self._profile, search.scan
        if self._is_one_result(scan):
            return iter([remaining])
        return feed_slices(
            remaining,
            descending=scan.descending,
            first_us=self._density.slice_us(fingerprint(scan.conditions), search.missing, profile.first_slice_us),
            partition_us=profile.partition_us,
            longest_us=profile.longest_slice_us,
        )

    def _is_one_result(self, scan: Scan) -> bool:
        """Return whether the store makes a result once, of which all pages of a scan are."""
        return scan.fold is not None and self._profile.materializes

    async def _read(self, search: "_Search", remaining: TimeRange, budget: Budget) -> Page:
        planned, descending = self._slices(search, remaining), search.scan.descending
        waiting = deque[TimeRange]()  # the rest of a slice that one query did not finish
        while part := waiting.popleft() if waiting else next(planned, None):
            if search.begun and budget.is_used_up:
                return search.so_far(_edge(part, descending=descending))
            query = await self._planned(search, part, max(budget.page_bytes_left, 1))
            if isinstance(query, list):
                waiting.extendleft(reversed(query))
                continue
            try:
                answer = await self.runner.rows(query)
            except QueryTooExpensiveError:
                is_whole = self._is_one_result(search.scan)
                pieces = [] if is_whole else cut(part, descending=descending, unit_us=self._profile.first_slice_us)
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
                waiting.appendleft(beyond(part, search.left_off, descending=descending))
        return Page(scan=search.scan, rows=search.rows)

    async def _planned(self, search: "_Search", part: TimeRange, max_bytes: int) -> Rows | list[TimeRange]:
        """Return the query of a slice, or pieces to read instead: of a state, versions have to be few, and some."""
        query = search.query(part, max_bytes)
        if not isinstance(query, State) or self._is_one_result(search.scan):
            return query
        versions = (await self.runner.rows(query.count)).rows[0]["records"]
        if versions == 0:
            search.begun = True
            return []
        return _smaller(query, versions, search.most_versions) or _counted(query, versions)

    async def versions(
        self, record_id: str | int, window: TimeRange, conditions: tuple[Condition, ...], limit: int
    ) -> list[Row]:
        """Return the newest `limit` versions of a record in `window`, newest first.

        The latest version is the greatest (`ingest_time`, `delivery_key`) of the rows that are not copies: a
        redelivery of an old version does not replace a newer one. The newest rows are searched first, then all others.

        Raises:
            QueryTooExpensiveError: there are too few versions in as much of the window as one query can read.
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
            rows += (await self.runner.rows(query)).rows
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
        if scan.limit is not None and not scan.is_resumed:
            scan = msgspec.structs.replace(scan, after=None)
        window, total = scan.window if scan.limit is not None else scan.remaining, 0
        profile = self._profile
        # A count reads next to nothing, so less than a partition is not worth a query.
        first_us = max(profile.partition_us, profile.first_slice_us) if cap is not None else max(window.length_us, 1)
        slices = feed_slices(
            window, descending=True, first_us=first_us, partition_us=profile.partition_us, longest_us=None
        )
        for part in slices:
            answer = await self.runner.rows(self._rows(scan, part).count)
            budget.spend(answer)
            total += answer.rows[0]["records"]
            if cap is not None and total >= cap:
                return Count(cap, "gte")
        return Count(total, "eq")

    async def batches(self, scan: Scan) -> AsyncGenerator[bytes, None]:
        """Yield the Arrow schema and the batches of all rows that a scan has left; nothing if there are none.

        Each slice is counted before it is read, and cut into parts of a few megabytes, but where the store materializes
        a result: then one query is for all rows.

        Raises:
            QueryError: the store gave no answer.
        """
        profile, descending, planned = self._profile, scan.descending, iter([scan.remaining])
        if not profile.materializes:
            first_us, longest_us = min(profile.first_slice_us, SECOND_US), profile.longest_slice_us
            planned = feed_slices(scan.remaining, descending=descending, first_us=first_us, longest_us=longest_us)
        waiting, most_rows, is_begun = deque[TimeRange](), _FIRST_ROWS, False
        while part := waiting.popleft() if waiting else next(planned, None):
            query, rows = self._rows(scan, part), None
            if not profile.materializes:
                rows = (await self.runner.rows(query.count)).rows[0]["records"]
                if rows == 0:
                    continue
                most = min(6, 1 + rows * 5 // (most_rows * 4))  # a fifth less than memory has room for
                if rows > most_rows and (pieces := cut(part, descending=descending, unit_us=1, most=most)):
                    waiting.extendleft(reversed(pieces))
                    continue
            size_bytes = 0
            async with aclosing(self.runner.arrow(_counted(query, rows))) as batches:
                schema = await anext(batches)
                if not is_begun:
                    yield schema
                    is_begun = True
                async for piece in batches:
                    if piece != END_OF_STREAM:
                        size_bytes += len(piece)
                        yield piece
            if rows:
                most_rows = max(min(_PART_BYTES * rows // max(size_bytes, 1), most_rows * _GROWTH, _MOST_VERSIONS), 1)

    def explained(self, scan: Scan) -> Rows:
        """Return the first query of a page, or that of a whole export; a store may need more of them."""
        if scan.limit is None:
            return self._rows(scan, scan.remaining)
        search = self._search(scan)
        return search.query(next(self._slices(search, scan.remaining), scan.remaining))

    def _rows(self, scan: Scan, within: TimeRange) -> Rows:
        """Return the query of the rows that a scan has left in a range."""
        rows = Rows(
            purpose="export" if scan.limit is None else "page",
            table=self.table.name,
            within=within,
            conditions=scan.conditions,
            lookback_us=self.environment.lookback_us,
            columns=tuple(column.name for column in scan.columns),
            descending=scan.descending,
            after=scan.after,
        )
        return rows if scan.fold is None else self._state(rows, scan.fold, scan.window)

    def _state(self, rows: Rows, fold: Fold, window: TimeRange) -> State:
        record_id, sequence, deleted = (
            column.name if column else "" for column in (self.table.id, self.table.sequence, self.table.deleted)
        )
        return State(
            **msgspec.structs.asdict(rows),
            id_column=record_id,
            sequence=sequence,
            deleted="" if fold.tombstones else deleted,
            counted=fold.conditions,
            folded=window,
            last_key=fold.up_to.delivery_key,
        )

    def _search(self, scan: Scan) -> "_Search":
        return _Search(scan, self._rows(scan, scan.remaining))


class _Search:
    def __init__(self, scan: Scan, query: Rows) -> None:
        self.scan = scan
        self._limit = (scan.limit or MAX_LIMIT) + 1  # one extra: are there more?
        # Canaries are few, so they are dropped here and not filtered in SQL: a store would test every row of a slice,
        # and a page of few rows among many took half as long again.
        self._drops_canaries = WITHOUT_CANARIES in scan.conditions
        self._query = msgspec.structs.replace(
            query,
            conditions=tuple(each for each in scan.conditions if each != WITHOUT_CANARIES),
            columns=tuple(dict.fromkeys((*query.columns, "ingest_time", "delivery_key"))),
        )
        self.rows: list[Row] = []
        self.after = scan.after
        self.left_off: Position | None = None
        self.begun = False
        self.most_versions = _FIRST_VERSIONS
        """How many versions the next slice of a state may have: more, the fewer of them are the latest."""

    @property
    def missing(self) -> int:
        """How many rows are still missing."""
        return self._limit - len(self.rows)

    def query(self, part: TimeRange, max_bytes: int | None = None) -> Rows:
        """Return the query of the rows that are missing, in a part of the range."""
        return msgspec.structs.replace(
            self._query, within=part, after=self.after, limit=self.missing, max_bytes=max_bytes
        )

    def take(self, rows: list[Row], *, cut: bool) -> bool:
        """Add the rows of a query; return whether the page is full. Sets `left_off` if the query ended too early."""
        self.begun = True
        self.left_off = None
        self.most_versions = min(self.most_versions * _GROWTH, _MOST_VERSIONS)
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


def _smaller(query: State, versions: int, most: int) -> list[TimeRange]:
    """Return the pieces of a slice that has more versions than one query should test; none of another."""
    if versions <= most:
        return []
    count = min(1 + versions * 5 // (most * 4), _MOST_PIECES)
    return cut(query.within, descending=query.descending, unit_us=1, most=count)


def _counted(query: Rows, rows: int | None) -> Rows:
    """Return the query of a slice that has so many rows; None: nobody has counted them."""
    return msgspec.structs.replace(query, most=rows) if isinstance(query, State) else query


def _edge(part: TimeRange, *, descending: bool) -> Position:
    return Position(part.to_us if descending else part.from_us, "")
