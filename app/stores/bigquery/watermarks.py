"""Watermarks: instances say how far they have settled, so that readers need not wait for the fixed settle time. Pure.

The rules of what an instance may announce, and of what readers may conclude:

    join    a mark is stored before the first stamp, and stamps lie beyond every horizon that readers had by then
    live    a mark reaches up to the oldest row that may still become visible
    lease   without a stored mark of its own, an instance soon stops stamping, until it has joined again
    leave   the last mark is written when no row may become visible any more
    read    the horizon is the least mark; a silent instance counts by the fixed settle time, then not at all

A bound is exclusive: rows stamped earlier are settled. All times are microseconds of the wall clock of one instance.
Clocks are at most `skew_us` off the true time. One that goes back stamps nothing before what it has announced.
"""

import enum
import functools
from collections.abc import Hashable, Iterable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.runtime.instants import SECOND_US, epoch_us, from_epoch_us
from app.schema.table import Table, records_table
from app.settings.store import StoreSettings
from app.stores.sink import RowEncode
from app.stores.sql.statement import Statement


class State(enum.Enum):
    """What a mark says about its instance."""

    LIVE = "live"
    BYE = "bye"


class Mark(msgspec.Struct, frozen=True):
    """A row of the table: every row that `instance` stamped before `through_us` is settled."""

    instance: str
    state: State
    through_us: int
    written_us: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The times that writers and readers agree on, in microseconds."""

    append_deadline_us: int
    margin_us: int
    """How long after we abandon rows they may still become visible."""
    skew_us: int
    settle_us: int
    silent_us: int
    """A reader distrusts a mark of this age."""
    lease_us: int
    """A writer stamps nothing when its last stored mark has this age."""

    @classmethod
    def of(cls, store: StoreSettings) -> "Limits":
        """Return those of the settings, which all instances must share."""
        return cls(
            append_deadline_us=round(store.append_deadline_s * SECOND_US),
            margin_us=round(store.late_commit_margin_s * SECOND_US),
            skew_us=round(store.clock_skew_s * SECOND_US),
            settle_us=round(store.settle_s * SECOND_US),
            silent_us=12 * SECOND_US,
            lease_us=120 * SECOND_US,
        )

    @property
    def forgotten_us(self) -> int:
        """At this age of its last mark, nothing of an instance can become visible any more."""
        return self.lease_us + self.append_deadline_us + self.margin_us + 2 * self.skew_us


class Announcer:
    """Decides what one instance may stamp and announce."""

    def __init__(self, instance: str, limits: Limits) -> None:
        self._instance, self._limits = instance, limits
        self._open: dict[Hashable, int] = {}
        self._doubtful: list[tuple[int, int]] = []
        self._leased_us: int | None = None
        self._floor_us = self._stamped_us = 0

    def stamp_us(self, now_us: int) -> int | None:
        """Return the least stamp allowed now, greater at every call; None if a mark must be stored first.

        After joining, stamps lie ahead of the clock by twice the skew at most. They lie further ahead only if the clock
        was set back: then nothing may be stamped until it has caught up.
        """
        if not self.may_stamp(now_us):
            return None
        self._stamped_us = self._least_us(now_us)
        return self._stamped_us

    def may_stamp(self, now_us: int) -> bool:
        """Return whether `stamp_us` would return a stamp now."""
        return self._is_leased(now_us) and self._least_us(now_us) - now_us <= 2 * self._limits.skew_us

    def sent(self, attempt: Hashable, stamp_us: int) -> None:
        """Note that an attempt was stamped and may be sent; an earlier stamp of the same attempt was not sent."""
        self._open[attempt] = stamp_us

    def answered(self, attempt: Hashable) -> None:
        """Note that the rows of an attempt are visible, or refused for good; or that it was never sent."""
        self._open.pop(attempt, None)

    def abandoned(self, attempt: Hashable, now_us: int) -> None:
        """Note that an attempt ended without an answer: its rows, if they were sent, may still become visible."""
        stamp_us = self._open.pop(attempt, None)
        if stamp_us is not None:
            until_us = max(stamp_us + self._limits.append_deadline_us, now_us) + self._limits.margin_us
            self._doubtful.append((stamp_us, until_us))

    def mark(self, now_us: int) -> Mark:
        """Return the mark to write now. Nothing is stamped before it afterwards, even if the clock is set back."""
        through_us = self._held_us(now_us)
        self._floor_us = max(self._floor_us, through_us)
        return Mark(self._instance, State.LIVE, through_us, now_us)

    def stored(self, mark: Mark, now_us: int) -> None:
        """Note that a mark is visible to readers. One that begins a lease sets the least stamp."""
        if not self._is_leased(now_us):
            self._floor_us = max(self._floor_us, now_us + 2 * self._limits.skew_us)
        self._leased_us = max(self._leased_us or 0, mark.written_us)

    def bye(self, now_us: int) -> Mark | None:
        """Return the last mark, after which nothing may be sent; None while rows may still become visible."""
        self._expire(now_us)
        if self._open or self._doubtful:  # not by their stamps: those may lie ahead of the clock
            return None
        self._leased_us = None
        return Mark(self._instance, State.BYE, now_us, now_us)

    def _least_us(self, now_us: int) -> int:
        return max(now_us, self._floor_us, self._stamped_us + 1)

    def _expire(self, now_us: int) -> None:
        self._doubtful = [each for each in self._doubtful if each[1] >= now_us]

    def _held_us(self, now_us: int) -> int:
        self._expire(now_us)
        return min([now_us, *self._open.values(), *(stamp_us for stamp_us, _ in self._doubtful)])

    def _is_leased(self, now_us: int) -> bool:
        return self._leased_us is not None and now_us - self._leased_us < self._limits.lease_us


def horizon_us(marks: Iterable[Mark], asked_us: int, limits: Limits) -> int:
    """Return the settled horizon from the marks visible at `asked_us`, by the reader's clock before it read them.

    It is never earlier than the fixed settle time allows, and exactly that without any mark: then the table may be new.
    """
    latest: dict[str, Mark] = {}
    for mark in marks:
        known = latest.get(mark.instance)
        if known is None or known.written_us < mark.written_us:
            latest[mark.instance] = mark
    fixed_us = asked_us - limits.settle_us
    if not latest:
        return fixed_us
    least_us = min([asked_us, *(_bound_us(mark, asked_us, limits) for mark in latest.values())])
    return max(least_us, fixed_us)


def _bound_us(mark: Mark, asked_us: int, limits: Limits) -> int:
    age_us = asked_us - mark.written_us
    if mark.state is State.BYE or age_us > limits.forgotten_us:
        return asked_us
    if age_us > limits.silent_us:
        return max(mark.through_us, asked_us - limits.settle_us)
    return mark.through_us


INSTANCES = "_instances"  # no stream may have this name
RETENTION_DAYS = 1


class InstanceMark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one instance has settled."""

    instance: Annotated[str, Meta(description="The instance: random, and another one at each start.")]
    state: Annotated[State, Meta(description="`live`; or `bye`, after which this instance stores nothing any more.")]
    through: Annotated[
        datetime,
        Meta(tz=True, description="What this instance stamped earlier is stored, or will never be, in every table."),
    ]
    written: Annotated[datetime, Meta(tz=True, description="When it said so, by its clock.")]


@functools.cache
def instances_table() -> Table:
    """Return the table of marks, which are kept for a day."""
    return records_table(InstanceMark, name=INSTANCES, retention_days=RETENTION_DAYS)


def encode(encoder: RowEncode, mark: Mark) -> bytes:
    """Return the row of `mark`; `encoder` is that of NO_MESSAGE."""
    row = InstanceMark(
        instance=mark.instance,
        state=mark.state,
        through=from_epoch_us(mark.through_us),
        written=from_epoch_us(mark.written_us),
    )
    return encoder(row, 0, f"{mark.instance}:{mark.written_us}")


_NEWEST = """
SELECT instance, state, through, written
FROM `_instances`
WHERE ingest_time >= @from_us
QUALIFY ROW_NUMBER() OVER (PARTITION BY instance ORDER BY written DESC) = 1
""".strip()


def newest_marks(asked_us: int, limits: Limits) -> Statement:
    """Return the statement that reads the newest mark of each instance that is not forgotten at `asked_us`.

    A row is stamped when its mark is sent, never before it was made; the two clocks may differ by twice the skew.
    """
    from_us = asked_us - limits.forgotten_us - 2 * limits.skew_us
    return Statement(sql=_NEWEST, parameters={"from_us": from_us}, purpose="horizon", is_cheap=True)


def mark_of(row: dict[str, Any]) -> Mark:
    """Return the mark in a row of that statement."""
    return Mark(row["instance"], State(row["state"]), epoch_us(row["through"]), epoch_us(row["written"]))
