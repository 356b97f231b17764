"""Append rows in batches, and let each message wait for its own rows.

The dispatcher decides when a batch goes out. `_store` appends a batch, and `_go_on` continues if not all of it was
stored; `retry_policy.decide` says what follows each outcome. Refused messages leave the batch (`suspect_lane`), and
late rows are appended once more (`repairs`). A message's deadline ends only its wait, never the attempt. If it cut the
attempt short, a slow store would receive the same batch again and again.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
from opentelemetry.trace import Span

from app.ingest.appends import GIVEN_UP, Appends, AppendWatch, fail
from app.ingest.batcher import BatchLimits, parts_of
from app.ingest.dispatcher import Dispatcher, SharedTarget
from app.ingest.pending import (
    LATE,
    OnRefused,
    Pending,
    PendingRow,
    halves,
    messages_of,
    refused_of,
    rows_of,
    slots_of,
    verdict_of,
)
from app.ingest.repairs import Repairs
from app.ingest.retry_policy import Bisect, Complete, Isolate, Postpone, RejectRows, Repair, Retry, Trip, decide
from app.ingest.sink_health import SinkHealth
from app.ingest.stall_watchdog import StallWatchdog
from app.ingest.suspect_lane import SuspectLane
from app.ingest.verdict import Throttled, Unavailable, Verdict
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import Deadlines
from app.stores.sink import Appender, Outcome, RowError, RowsRefused, Stored, TableCheck, Uncertain

_log = logging.getLogger("sluice.writer")
_FULL = Throttled("too many messages wait for the store on this instance", 1.0)
_CLOSED = Unavailable("the instance is shutting down", 1.0)


class WriterLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one append, how long an attempt may take, and how many bytes may wait for the store.

    `stuck_s` is how long messages may wait without any answer from the store (app.ingest.stall_watchdog).
    """

    batch: BatchLimits
    append_deadline_s: float
    max_open_bytes: int
    stuck_s: float = 300.0


class Writer:
    """Writes the rows of one table through an Appender; `shared` is a target for several (app.ingest.dispatcher)."""

    def __init__(  # noqa: PLR0913 - what one table's writer needs
        self,
        appender: Appender,
        clock: Clock,
        limits: WriterLimits,
        *,
        table: str,
        watch: AppendWatch,
        shared: SharedTarget | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._limits, self._jitter = clock, limits, jitter
        self._deadlines: Deadlines[Pending] = Deadlines(clock)
        self._open_bytes, self._flows, self._closed = 0, 0, False
        in_flight = {"target_in_flight": appender.target_in_flight, "max_in_flight": appender.max_in_flight}
        self._dispatcher = Dispatcher(self._take, clock, limits.batch, **in_flight, shared=shared)
        self.health = SinkHealth(table, clock)
        self.progress = StallWatchdog(clock.elapsed_us, limits.stuck_s)
        self._appends = Appends(
            appender,
            clock,
            self.health,
            table=table,
            watch=watch,
            limit_s=limits.append_deadline_s,
            answered=self._answered,
            spawn=self._dispatcher.spawn,
        )
        self._repairs = Repairs(self._appends, self._hold)
        self._lane = SuspectLane(self._appends, self._repairs, self._is_appending, self._trip)
        self._suspects = self._lane.cases.by_key  # nearly always empty; an ordinary message checks only that

    @property
    def waiting(self) -> int:
        """How many parts of messages wait for an append."""
        return len(self._dispatcher)

    @property
    def oldest_wait_s(self) -> float:
        """How long the oldest waiting message has waited for an append, in seconds."""
        oldest = self._dispatcher.oldest
        return 0.0 if oldest is None else (self._clock.elapsed_us() - oldest.begun_us) / MICROSECONDS

    def refusal(self, byte_count: int = 0) -> Unavailable | Throttled | None:
        """Say why `byte_count` more bytes would be refused at once, or None."""
        if self._closed:
            return _CLOSED
        pause = self.health.pause()
        if pause is not None:
            return pause
        # Admission limits the bytes of requests; this limits the bytes of the rows made from them.
        return _FULL if self._open_bytes and self._open_bytes + byte_count > self._limits.max_open_bytes else None

    async def submit(  # noqa: PLR0913 - everything that the writer needs of a message
        self,
        rows: Sequence[bytes],
        deadline_us: int,
        reject: OnRefused | None = None,
        span: Span | None = None,
        *,
        key: str = "",
        delivery_attempt: int = 0,
    ) -> Verdict:
        """Wait until `rows` are durable, or until it is clear that they will not be by `deadline_us`.

        The deadline is in the clock's `elapsed_us`. Without `reject`, a refused row makes the message Unavailable.
        `reject`, `span` and `key` are those of Pending; `delivery_attempt` counts deliveries if the sender does.
        """
        now_us, size = self._clock.elapsed_us(), sum(map(len, rows))
        refusal = self.refusal(size)
        if refusal is not None:
            return refusal
        if now_us >= deadline_us:
            return LATE
        new_future = asyncio.get_running_loop().create_future
        parts = [
            Pending(some, first, part_size, now_us, reject, span, new_future(), key)
            for some, first, part_size in parts_of(rows, size, self._limits.batch)
        ]
        self._open_bytes += size
        self.progress.begin()
        try:
            for part in parts:
                self._deadlines.begin(part, deadline_us)
            if (delivery_attempt or self._suspects) and self._lane.wants(key, delivery_attempt):
                begun = len(parts)
                for part in parts:
                    self._lane.add(part)
            else:
                begun = self._dispatcher.max_in_flight
                self._dispatcher.add(parts[:begun])
            return await (parts[0].verdict if len(parts) == 1 else verdict_of(parts, begun, self._dispatcher.add))
        finally:
            self.progress.end()
            self._open_bytes -= size
            for part in parts:
                self._deadlines.end(part)

    async def close(self) -> None:
        """Abandon what is not durable yet, answer its waiters, and accept no more messages."""
        self._closed = True
        await self._repairs.close()
        await self._dispatcher.close()
        fail(self._deadlines.close(), _CLOSED)

    def record_check(self, obstacle: TableCheck) -> None:
        """Record the result of a table check, made independently of appends; an obstacle stops the writer at once."""
        idle = not (self._dispatcher.in_flight or len(self._dispatcher) or len(self._lane))
        if (trip := self.health.record_check(obstacle, idle=idle)) is not None:
            fail(self._dispatcher.take_all(), trip.verdict)

    def _hold(self, byte_count: int) -> None:
        self._open_bytes += byte_count

    def _answered(self, took_us: int) -> None:
        self.progress.answered()
        self._dispatcher.acknowledged(took_us)

    def _is_appending(self) -> bool:
        return bool(self._flows or len(self._dispatcher))

    def _trip(self, trip: Trip) -> Unavailable | Throttled:
        """Fail all waiting messages and begin a pause; return their verdict."""
        verdict = self.health.trip(trip)
        fail(self._dispatcher.take_all(), verdict)
        return verdict

    async def _take(self, batch: list[Pending]) -> None:
        self._flows += 1
        try:
            await self._store(batch)
        except asyncio.CancelledError:  # no message may go on waiting for a cancelled batch
            fail(batch, _CLOSED if self._closed else GIVEN_UP)
            raise
        except Exception:
            _log.exception("a batch failed unexpectedly")
            fail(batch, GIVEN_UP)
        finally:
            self._flows -= 1
            self._lane.wake()

    async def _store(self, batch: list[Pending]) -> None:
        """Append the rows of `batch`; handle rows one by one only if not all of them were stored in time."""
        batch = self._appends.still_wanted(batch)
        if not batch:
            return
        stored_before = self.health.appends_stored
        outcome = await self._appends.attempt([row for pending in batch for row in pending.rows], batch)
        if isinstance(outcome, Stored) and not outcome.late:
            self.health.stored()
            for pending in batch:
                pending.settle(pending.row_count)
        else:
            await self._go_on(slots_of(batch), outcome, stored_before)

    async def _go_on(  # noqa: C901, PLR0912 - one branch for each step
        self, slots: Sequence[PendingRow], outcome: Outcome, stored_before: int
    ) -> None:
        """After `outcome`, append the rows of `slots` until each is durable, rejected, or abandoned by its message."""
        groups, failures = deque[Sequence[PendingRow]](), 0
        while slots:
            counted = failures if isinstance(outcome, Uncertain) else self.health.circuit.trips
            match decide(outcome, len(slots), len(messages_of(slots)), counted):
                case Complete():
                    self.health.stored()
                    self._lane.wake()
                    for pending, _ in slots:
                        pending.settle(1)
                case Repair():
                    self._repairs.begin(slots)
                case RejectRows(errors):
                    groups.append(self._refuse(slots, errors, stored_before))
                case Isolate():
                    refusal = outcome if isinstance(outcome, RowsRefused) else None
                    self._lane.add(slots[0][0], slots, refusal, stored_before)
                    # The rows least related to this message show soonest whether the table is at fault.
                    groups.rotate(-1 if self.health.appends_stored == stored_before else 0)
                case Bisect():
                    groups += halves(slots)  # the smaller part goes first
                case Retry(detail, max_delay_s):
                    failures += 1
                    self.health.uncertain(detail, failures)
                    if await self._appends.back_off(self._jitter() * max_delay_s):
                        self._repairs.begin(slots)
                    else:
                        groups.append(slots)
                case Postpone(positions, detail, wait):
                    self.progress.answered()
                    self.health.lack(detail)
                    fail(messages_of(slots[position] for position in positions), wait)
                    groups.append(slots)
                case Trip() as trip:
                    verdict = self._trip(trip)
                    fail(messages_of(slot for group in (slots, *groups) for slot in group), verdict)
                    return
            slots = self._next(groups)
            if slots:
                outcome = await self._appends.attempt(rows_of(slots), messages_of(slots))

    def _refuse(
        self, slots: Sequence[PendingRow], errors: Mapping[int, RowError], stored_before: int
    ) -> Sequence[PendingRow]:
        """Reject rows; return the rows of all other messages. The remaining rows of these messages go on alone."""
        self.health.recover()  # the store names the rows, so it works
        refused = refused_of(slots, errors)
        self._appends.reject(refused)
        rest = [slot for position, slot in enumerate(slots) if position not in errors]
        for pending in refused:
            if own := [slot for slot in rest if slot[0] is pending]:
                self._lane.add(pending, own, None, stored_before)
        return [slot for slot in rest if slot[0] not in refused]

    def _next(self, groups: deque[Sequence[PendingRow]]) -> Sequence[PendingRow]:
        """Remove groups until one has rows whose messages still wait, and return those rows; none if none has."""
        while groups:
            slots = groups.pop()
            live = set(self._appends.still_wanted(messages_of(slots)))
            if live:
                return [slot for slot in slots if slot[0] in live]
        return ()
