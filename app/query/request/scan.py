"""A request for rows as a scan: a reader's position in a window, and the cursors that continue from it. Pure.

The order is (`ingest_time`, `delivery_key`). A page begins after the last row of the page before, never at an offset,
so rows that arrive in the meantime neither shift nor repeat it.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from app.http.problems import FieldError, ProblemError
from app.query.request.cursor import Cursor, decode_cursor, encode_cursor
from app.query.request.filters import fingerprint
from app.query.request.negotiation import Format
from app.query.request.requests import Now, PageRequest
from app.runtime.instants import epoch_us
from app.runtime.time_range import TimeRange
from app.schema.columns import Column
from app.stores.query import CANDIDATES, IS_COPY, Condition, Position
from app.stores.source import Row


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A scan of a window of `table`, and its position.

    `is_resumed` says that it continues from a `resume_cursor`: then `after` is settled, whatever this instance's clock
    says. `is_fixed`: the same request will always mean the same window. `settled` is how far the rows read by this scan
    so far were final, by the clock of the instance that read them.
    """

    table: str
    window: TimeRange
    descending: bool
    after: Position | None = None
    fingerprint: str = ""
    is_resumed: bool = False
    is_fixed: bool = False
    settled: Position | None = None

    @property
    def remaining(self) -> TimeRange:
        """The part of the window still to be read."""
        window, after = self.window, self.after
        if after is None:
            return window
        if self.descending:
            # The instant of the position has rows left only if the position is a row's. Otherwise a partition may
            # begin there.
            return TimeRange(window.from_us, after.ingest_us + bool(after.delivery_key))
        return TimeRange(after.ingest_us, window.to_us)

    def next_cursor(self, stopped_at: Position, horizon_us: int) -> str:
        """Return the cursor that continues the window from `stopped_at`."""
        since_us, until_us = msgspec.structs.astuple(self.window)
        settled = self._settled(horizon_us)
        return self._cursor(since_us, until_us, stopped_at, descending=self.descending, settled=settled)

    def resume_cursor(self, stopped_at: Position | None, horizon_us: int) -> str:
        """Return the cursor after `stopped_at`, or after the whole window if it was read (or read backwards).

        It never passes the settled horizon: beyond it, new rows may still appear before existing ones.
        """
        end = Position(self.window.to_us, "")
        if self.after is not None:  # by this instance's clock, the window may end before it
            end = max(end, self.after)
        reached = stopped_at if stopped_at is not None and not self.descending else end
        place = min(reached, self._settled(horizon_us))
        return self._cursor(place.ingest_us, None, place if place.delivery_key else None, descending=False)

    def _settled(self, horizon_us: int) -> Position:
        """Return how far the rows read by this scan so far are final.

        Rows that an earlier page knew to be final stay final, even if this instance's clock is behind. A page that read
        beyond them (freshness=latest) may have missed rows that have appeared since, so `settled` does not advance.
        """
        begin = Position(self.window.from_us, "")
        known = self.settled or (self.after if self.is_resumed and self.after else begin)
        end = Position(self.window.to_us, "")
        has_read_beyond = self.settled is not None and (end if self.descending else self.after or begin) > known
        return known if has_read_beyond else max(known, Position(min(horizon_us, self.window.to_us), ""))

    def _cursor(
        self,
        since_us: int,
        until_us: int | None,
        after: Position | None,
        *,
        descending: bool,
        settled: Position | None = None,
    ) -> str:
        return encode_cursor(
            Cursor(
                table=self.table,
                descending=descending,
                since_us=since_us,
                until_us=until_us,
                after=after,
                fingerprint=self.fingerprint,
                settled=settled,
            )
        )


def start_scan(request: PageRequest, table: str, now: Now, *, max_window_us: int) -> Scan:
    """Return the scan that `request` asks for.

    Raises:
        ProblemError: `invalid_cursor`, or `invalid_parameter` for an order that is not the cursor's.
    """
    mark = fingerprint(request.conditions, request.canaries.mark)
    if request.cursor is None:
        return Scan(
            table=table,
            window=_window(request, now, max_window_us),
            descending=bool(request.descending),
            fingerprint=mark,
            is_fixed=request.is_fixed and request.until_us is not None and request.until_us <= now.horizon_us,
        )
    cursor = decode_cursor(request.cursor, table=table, fingerprint=mark)
    if request.descending is not None and request.descending != cursor.descending:
        order = "desc" if cursor.descending else "asc"
        message = f"the cursor continues in order {order}; omit order"
        wrong = FieldError(name="order", message=message, example=order)
        raise ProblemError("invalid_parameter", f"order: {message}", errors=(wrong,))
    until_us = cursor.until_us
    if until_us is None:
        # The horizon may be before the cursor, by another instance's clock: then there is nothing to read.
        edge_us = now.latest_us if request.latest else now.horizon_us
        until_us = max(cursor.since_us, min(edge_us, cursor.since_us + max_window_us))
    elif until_us - cursor.since_us > max_window_us:
        raise ProblemError("invalid_cursor", "the cursor's window is longer than the longest allowed window")
    return Scan(
        table=table,
        window=TimeRange(cursor.since_us, until_us),
        descending=cursor.descending,
        after=cursor.after,
        fingerprint=mark,
        is_resumed=cursor.until_us is None,
        settled=cursor.settled,
        is_fixed=cursor.until_us is not None and until_us <= now.horizon_us,
    )


def _window(request: PageRequest, now: Now, max_window_us: int) -> TimeRange:
    edge_us = now.latest_us if request.latest else now.horizon_us
    until_us = edge_us if request.until_us is None else min(request.until_us, edge_us)
    return TimeRange(request.since_us, max(request.since_us, min(until_us, request.since_us + max_window_us)))


def position_of(row: Row) -> Position:
    """Return the position of a row in the order."""
    return Position(epoch_us(row["ingest_time"]), row["delivery_key"])


def originals(rows: list[Row]) -> Iterator[Row]:
    """Yield the rows that are not copies, without the marker columns.

    Two rows of one delivery with the same timestamp are copies of each other. They are adjacent, and one counts.
    """
    previous: tuple[Any, str] | None = None
    for row in rows:
        del row[CANDIDATES]
        place = (row["ingest_time"], row["delivery_key"])
        if not row.pop(IS_COPY) and place != previous:
            yield row
        previous = place


class View(msgspec.Struct, frozen=True):
    """A view of a table: some of its columns, and the rows that match the conditions."""

    columns: tuple[Column, ...]
    conditions: tuple[Condition, ...] = ()


class RowRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for rows: its parameters, the scan, the view of the table, and the format."""

    params: PageRequest
    scan: Scan
    view: View
    format: Format
    now: Now
