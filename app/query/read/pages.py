"""A page as a caller gets it: rows, cursors, the window and a count; long polling for an empty page; and EXPLAIN."""

import math
from collections.abc import Callable, Sequence

import msgspec

from app.environment import Environment
from app.query.answer.documents import Count, Page
from app.query.read.feed import Budget, Feed, PageRows
from app.query.read.reads import Reads
from app.query.request.parameters import COUNT_CAP, MAX_LIMIT
from app.query.request.requests import Now, PageRequest
from app.query.request.scan import RowRequest, Scan, View, start_scan
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import to_text
from app.runtime.time_range import TimeRange
from app.schema.columns import Kind
from app.stores.query import Condition
from app.stores.source import Plan, shown_value

_SHOWN_SLICES = 20


class Pages:
    """Makes the pages of one table."""

    def __init__(self, feed: Feed, environment: Environment, reads: Reads) -> None:
        self.feed, self.settings = feed, environment.settings
        self._clock, self._reads = environment.clock, reads
        self.max_window_us = self.settings.query.max_window_days * 86_400 * MICROSECONDS

    def now(self) -> Now:
        """Return the instant at which a request is evaluated."""
        now_us = self._clock.now_us()
        # The clock has advanced since: use the same `now`, so that the longest window is not a microsecond too long.
        horizon_us = min(self.feed.horizon_us(), now_us)
        return Now(now_us, horizon_us, now_us + self.settings.store.max_lead_us + 1)

    async def learns_more(self, than: Now) -> bool:
        """Return whether the table proves to be settled further, where that takes a query."""
        await self.feed.learn_horizon()
        return self.feed.runner.learn_horizon is not None and self.feed.horizon_us() > than.horizon_us

    def budget(self) -> Budget:
        """Return the budget of one request."""
        return Budget(
            self._clock,
            max_s=self.settings.query.page_budget_s,
            max_bytes_processed=self.settings.query.query_max_bytes_billed,
            max_page_bytes=self.settings.query.max_page_bytes,
        )

    def start(self, request: PageRequest, now: Now) -> Scan:
        """Return the scan that `request` asks for.

        Raises:
            ProblemError: the cursor is not one of this query.
        """
        return start_scan(request, self.feed.table.name, now, max_window_us=self.max_window_us)

    async def page(self, request: PageRequest, view: View, now: Now, spent: Callable[[int | None], None]) -> Page:
        """Read the page that `request` asks for; if it is empty and may still grow, wait as long as `request` says.

        `spent` is called with the bytes that the store read, after each attempt; None if it does not report them.

        Raises:
            QueryError: the store gave no answer.
        """
        ends_us = self._clock.elapsed_us() + round(request.wait_s * MICROSECONDS)
        while True:
            version = self._version()
            if request.wait_s:
                await self.feed.learn_horizon()
                now = self.now()  # after the version: a row in between changes the version, or is read now
            scan, budget = self.start(request, now), self.budget()
            reading = await self.feed.page(scan, view, request.limit or MAX_LIMIT, budget)
            may_grow = not reading.rows and reading.stopped_at is None and scan.window.to_us >= now.horizon_us
            if not may_grow or not await self._is_worth_another_look(version, ends_us):
                break
            spent(budget.bytes_processed)
        count = await self._count(request, scan, view, budget)
        spent(budget.bytes_processed)
        return self._finished(request, scan, reading, now, count)

    async def _is_worth_another_look(self, version: int | None, ends_us: int) -> bool:
        """Wait until there may be rows, by `version` or at the next poll; False if the time is over before that."""
        while (left_s := (ends_us - self._clock.elapsed_us()) / MICROSECONDS) > 0:
            if not await self._reads.pause(min(self.feed.runner.poll_s, left_s)):
                return False
            if version is None or self._version() != version:
                return True
        return False

    def _version(self) -> int | None:
        return self.feed.runner.version(self.feed.table.name)

    def _finished(self, request: PageRequest, scan: Scan, reading: PageRows, now: Now, count: Count | None) -> Page:
        stopped_at = reading.stopped_at
        is_closed = stopped_at is None and (scan.is_fixed or scan.window.to_us < now.horizon_us)
        return Page(
            rows=reading.rows,
            next_cursor=None if stopped_at is None else scan.next_cursor(stopped_at, now.horizon_us),
            resume_cursor=scan.resume_cursor(stopped_at, now.horizon_us),
            window=scan.window,
            poll_after_s=0 if stopped_at is not None or is_closed else math.ceil(self.feed.runner.poll_s),
            count=count,
            is_short=stopped_at is not None and len(reading.rows) < (request.limit or MAX_LIMIT),
        )

    async def _count(self, request: PageRequest, scan: Scan, view: View, budget: Budget) -> Count | None:
        if request.count == "none":
            return None
        cap = COUNT_CAP if request.count == "capped" else None
        count = await self.feed.count(scan, view.conditions, cap, budget)
        return Count(count, "eq") if cap is None or count < cap else Count(cap, "gte")


class Interval(msgspec.Struct, frozen=True):
    """A range of time, from `since` to before `until`."""

    since: str
    until: str


class Filter(msgspec.Struct, frozen=True):
    """A condition on a field."""

    field: str
    operator: str
    values: list[str | int | float | bool]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a page would ask of the store.

    `sql` is the first query, in BigQuery's dialect; it is repeated, with other bounds, for each of the `slices` until
    the page is full. `estimated_bytes` is what that query would read, at most, where the store says it, and `max_bytes`
    what one may.
    """

    table: str
    window: Interval
    order: str
    fields: list[str]
    filters: list[Filter]
    fixed_filters: list[Filter]
    heartbeat: str
    slices: list[Interval]
    slice_count: int
    sql: str
    parameters: dict[str, str | int | float | bool]
    estimated_bytes: int | None
    max_bytes: int | None


def explanation(
    row_request: RowRequest,
    *,
    fixed: Sequence[Condition],
    plan: Plan,
    slices: Sequence[TimeRange],
    max_bytes: int,
) -> Explanation:
    """Return the explanation of `row_request`, whose first query has this `plan`; one may read `max_bytes`."""
    scan = row_request.scan
    return Explanation(
        table=scan.table,
        window=_span(scan.window.from_us, scan.window.to_us),
        order="desc" if scan.descending else "asc",
        fields=[column.name for column in row_request.view.columns],
        filters=[_filter(each) for each in row_request.params.conditions],
        fixed_filters=[_filter(each) for each in fixed],
        heartbeat=row_request.params.canaries.choice,
        slices=[_span(part.from_us, part.to_us) for part in slices[:_SHOWN_SLICES]],
        slice_count=len(slices),
        sql=plan.text,
        parameters={**plan.parameters},
        estimated_bytes=plan.estimated_bytes,
        max_bytes=None if plan.estimated_bytes is None else max_bytes,
    )


def _span(since_us: int, until_us: int) -> Interval:
    return Interval(to_text(since_us), to_text(until_us))


def _filter(condition: Condition) -> Filter:
    field = ".".join((condition.path, *condition.json_path))
    is_instant = condition.kind is Kind.TIMESTAMP
    values = [to_text(each) if is_instant and type(each) is int else shown_value(each) for each in condition.values]
    return Filter(field, condition.operator, values)
