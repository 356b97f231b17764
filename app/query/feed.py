"""Read pages of a table: slice by slice, each row once, with the cursors to go on from.

The order is (`ingest_time`, `delivery_key`), and a page begins after the last row of the one before (never at
an offset), so rows that arrive meanwhile neither shift nor repeat it.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from app.errors import FieldError, ProblemError
from app.query.cursor import Cursor, Position, decode_cursor, encode_cursor
from app.query.instants import DAY_US, SECOND_US, clamp, to_us
from app.query.params.page import PageRequest, Window
from app.query.runner import LookUpTooExpensiveError, Query, QueryRunner, QueryTooExpensiveError, Scalar
from app.query.slices import Slice, cut, feed_slices, look_up_slices
from app.query.sql.pages import CANDIDATES, IS_COPY, look_up_sql, page_sql
from app.schema.table import Table

Row = dict[str, Any]
POLL_S = 1
# Where most rows turn out to be copies (a redelivery after an outage), the next query looks at more of them.
_CANDIDATES_GROWTH = 8
_MAX_CANDIDATES = 65_536


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its rows, the window it belongs to, and how to go on.

    `next_cursor` is None at the end of the window; `resume_cursor` continues with whatever is newer than what
    was read; `poll_after_s` is how long to wait before that is worth while.
    """

    rows: list[Row]
    next_cursor: str | None
    resume_cursor: str
    window: Window
    poll_after_s: int


class _Walk(msgspec.Struct, frozen=True, kw_only=True):
    """A way through a window, and how far it was gone."""

    window: Window
    descending: bool
    after: Position | None = None


class Feed:
    """Reads one table. It keeps nothing between requests."""

    def __init__(self, runner: QueryRunner, table: Table, *, lookback_s: float, max_window_days: int) -> None:
        self._runner, self._table = runner, table
        self._lookback_us = round(lookback_s * SECOND_US)
        self._max_window_us = max_window_days * DAY_US
        # One text per shape, so that a runner can prepare each once.
        self._page_sql = {
            (descending, after): page_sql(table, descending=descending, after=after)
            for descending in (False, True)
            for after in (False, True)
        }
        self._look_up_sql = look_up_sql(table, table.id.name) if table.id else ""

    def horizon_us(self) -> int:
        """Return the settled horizon: nothing stamped earlier will still appear."""
        return self._runner.horizon_us(self._table.name)

    async def page(self, request: PageRequest, horizon_us: int) -> Page:
        """Read the page that `request` asks for, as far as the table is settled.

        Raises:
            ProblemError: `invalid_cursor`, or `invalid_parameter` for an order that is not the cursor's.
        """
        walk = self._walk(request, horizon_us)
        slices = feed_slices(*_ahead(walk), descending=walk.descending, first_us=self._runner.first_slice_us)
        rows, ended = await self._read(slices, request.limit + 1, walk.after, descending=walk.descending)
        more = len(rows) > request.limit or not ended
        del rows[request.limit :]
        return Page(
            rows=rows,
            next_cursor=self._next_cursor(walk, rows) if more else None,
            resume_cursor=self._resume_cursor(walk, rows if more else []),
            window=walk.window,
            poll_after_s=0 if more or walk.window.until_us < horizon_us else POLL_S,
        )

    async def versions(self, record_id: str | int, window: Window, limit: int) -> list[Row]:
        """Return the newest `limit` versions of a record in `window`, newest first.

        The latest version is the greatest (`ingest_time`, `delivery_key`) of the rows that are no copies: a
        redelivery of an old version does not come back over a newer one.

        Raises:
            LookUpTooExpensiveError: there are too few versions in as much of the window as can be read.
        """
        rows: list[Row] = []
        for part in look_up_slices(window.since_us, window.until_us):
            parameters = self._parameters(part, limit - len(rows)) | {"id": record_id}
            query = Query(sql=self._look_up_sql, parameters=parameters, purpose="look_up")
            try:
                rows += await self._runner.rows(query)
            except QueryTooExpensiveError as error:
                raise LookUpTooExpensiveError(error.limit_bytes, error.needed_bytes, len(rows)) from error
            if len(rows) == limit:
                break
        return rows

    def _walk(self, request: PageRequest, horizon_us: int) -> _Walk:
        if request.cursor is None:
            return _Walk(window=request.window, descending=bool(request.descending))
        cursor = decode_cursor(request.cursor, table=self._table.name)
        if request.descending is not None and request.descending != cursor.descending:
            order = "desc" if cursor.descending else "asc"
            message = f"this cursor goes on in order {order}; leave order out"
            wrong = FieldError(name="order", message=message, example=order)
            raise ProblemError("invalid_parameter", f"order: {message}", errors=(wrong,))
        until_us = cursor.until_us
        if until_us is None:
            # The horizon may lie behind the cursor, by another instance's clock: then there is nothing to read.
            until_us = max(cursor.since_us, min(horizon_us, cursor.since_us + self._max_window_us))
        elif until_us - cursor.since_us > self._max_window_us:
            raise ProblemError("invalid_cursor", "the cursor's window is longer than a window may be")
        window = Window(cursor.since_us, until_us)
        return _Walk(window=window, descending=cursor.descending, after=cursor.after)

    def _next_cursor(self, walk: _Walk, rows: list[Row]) -> str:
        window = walk.window
        return self._cursor(window.since_us, window.until_us, _position(rows[-1]), descending=walk.descending)

    def _resume_cursor(self, walk: _Walk, rows: list[Row]) -> str:
        """Return the cursor behind `rows`, or behind the whole window when it was read (or read backwards)."""
        after = _position(rows[-1]) if rows and not walk.descending else None
        if after is None and walk.after is not None and walk.after.ingest_us >= walk.window.until_us:
            after = walk.after  # the horizon lies behind: stay
        since_us = walk.window.until_us if after is None else after.ingest_us
        return self._cursor(since_us, None, after, descending=False)

    def _cursor(self, since_us: int, until_us: int | None, after: Position | None, *, descending: bool) -> str:
        return encode_cursor(
            Cursor(
                table=self._table.name,
                descending=descending,
                since_us=since_us,
                until_us=until_us,
                after=after,
            )
        )

    async def _read(
        self, slices: Iterator[Slice], wanted: int, after: Position | None, *, descending: bool
    ) -> tuple[list[Row], bool]:
        """Return the next `wanted` rows that are no copies; fewer only where the slices end, or can be read no further.

        The second value is False in the latter case: rows were found, but the next slice is too much to read.
        """
        rows: list[Row] = []
        candidates = wanted + wanted // 8 + 8  # a few copies among them do not call for a second query
        waiting = deque[Slice]()  # what is left of a slice that was not read at once
        while part := waiting.popleft() if waiting else next(slices, None):
            missing = wanted - len(rows)
            query = self._page_query(part, after, missing, candidates, descending=descending)
            try:
                found = await self._runner.rows(query)
            except QueryTooExpensiveError:
                pieces = cut(part, descending=descending, shortest_us=self._runner.first_slice_us)
                if not pieces and not rows:
                    raise
                if not pieces:
                    return rows, False
                waiting.extendleft(reversed(pieces))
                continue
            whole = not found or (found[-1][CANDIDATES] < candidates and len(found) < missing)
            last = _position(found[-1]) if found else None
            rows.extend(_originals(found))
            if len(rows) == wanted:
                break
            if not whole and last is not None:  # the query looked at this many rows and no further
                after = last
                waiting.appendleft(_remainder(part, last, descending=descending))
                candidates = min(candidates * _CANDIDATES_GROWTH, _MAX_CANDIDATES)
        return rows, True

    def _page_query(
        self, part: Slice, after: Position | None, row_limit: int, candidates: int, *, descending: bool
    ) -> Query:
        parameters = self._parameters(part, row_limit) | {"candidates": candidates}
        if after is not None:
            parameters |= {"after_us": after.ingest_us, "after_key": after.delivery_key}
        return Query(sql=self._page_sql[descending, after is not None], parameters=parameters)

    def _parameters(self, part: Slice, row_limit: int) -> dict[str, Scalar]:
        return {
            "from_us": part.from_us,
            "to_us": part.to_us,
            "lookback_from_us": clamp(part.from_us - self._lookback_us),
            "lookback_micros": self._lookback_us,
            "row_limit": row_limit,
        }


def _ahead(walk: _Walk) -> tuple[int, int]:
    """Return the part of the window that is still to be read."""
    window, after = walk.window, walk.after
    if after is None:
        return window.since_us, window.until_us
    if walk.descending:
        return window.since_us, after.ingest_us + 1
    return after.ingest_us, window.until_us


def _remainder(part: Slice, after: Position, *, descending: bool) -> Slice:
    return Slice(part.from_us, after.ingest_us + 1) if descending else Slice(after.ingest_us, part.to_us)


def _position(row: Row) -> Position:
    return Position(to_us(row["ingest_time"]), row["delivery_key"])


def _originals(found: list[Row]) -> Iterator[Row]:
    """Yield the rows that are no copies, without the columns that say so.

    Two rows of one delivery with the same stamp are each other's copies: they lie side by side, and one counts.
    """
    previous: tuple[Any, str] | None = None
    for row in found:
        del row[CANDIDATES]
        place = (row["ingest_time"], row["delivery_key"])
        if not row.pop(IS_COPY) and place != previous:
            yield row
        previous = place
