"""Append rows in groups, and let each message wait for its own.

When they go out is the dispatcher's business. The flow of a batch is in `_store`, and in `_go_on` once not all of
it was stored; what follows each outcome is decided in `verdict.next_step`. A message's deadline ends its
wait and nothing else: an attempt is never cut short for one message of a batch, or a slow store would see each
batch again and again.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from opentelemetry.trace import Span

from app.clock import MICROSECONDS, Clock
from app.deadlines import Deadlines, TimeLimit
from app.ingest.append_watch import AppendWatch
from app.ingest.appender import Appender, Outcome, RowsRefused, SetupError, Stored, Uncertain
from app.ingest.batcher import BatchLimits, parts_of
from app.ingest.dispatcher import Dispatcher
from app.ingest.pending import LATE, Pending, Refused, RejectRows
from app.ingest.progress import Progress
from app.ingest.slots import Slot, halves, messages_of, others, refused_of, rows_of, slots_of
from app.ingest.standing import MAX_FAILURES, Standing
from app.ingest.verdict import (
    DURABLE,
    Again,
    Bisect,
    Durable,
    Refuse,
    Settle,
    Stop,
    Throttled,
    Unavailable,
    Verdict,
    next_step,
)

_log = logging.getLogger("sluice.writer")
_GIVEN_UP = Unavailable("the append was given up", 1.0)
_FULL = Throttled("as much waits for the store as this instance holds", 1.0)
_CLOSED = Unavailable("the instance is shutting down", 1.0)


class WriterLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The caps of one append, how long an attempt may take, and how many bytes may wait for the store.

    `stuck_s` is how long messages may wait without any answer of the store (app.ingest.progress).
    """

    batch: BatchLimits
    append_deadline_s: float
    max_open_bytes: int
    stuck_s: float = 300.0


class Writer:
    """Writes the rows of one table through an Appender."""

    def __init__(  # noqa: PLR0913 - what one table's writer needs
        self,
        appender: Appender,
        clock: Clock,
        limits: WriterLimits,
        *,
        table: str,
        watch: AppendWatch,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._appender, self._clock, self._limits, self._jitter = appender, clock, limits, jitter
        self._deadlines: Deadlines[Pending] = Deadlines(clock)
        self._attempts: Deadlines[TimeLimit] = Deadlines(clock)
        self._limit_us = round(limits.append_deadline_s * MICROSECONDS)
        self._open_bytes = 0
        self._closed = False
        self._table, self._watch = table, watch
        self._dispatcher = Dispatcher(
            self._take, clock, limits.batch, eager=appender.eager, concurrency=appender.concurrency
        )
        self.standing = Standing(table, clock)
        self.progress = Progress(clock.elapsed_us, limits.stuck_s)

    @property
    def waiting(self) -> int:
        """How many parts of messages wait for an append."""
        return len(self._dispatcher)

    @property
    def oldest_wait_s(self) -> float:
        """How long the message that waits longest for an append has done so, in seconds."""
        oldest = self._dispatcher.oldest
        return 0.0 if oldest is None else (self._clock.elapsed_us() - oldest.begun_us) / MICROSECONDS

    def refusal(self, byte_count: int = 0) -> Unavailable | Throttled | None:
        """Say why `byte_count` more bytes would be refused at once, or None."""
        if self._closed:
            return _CLOSED
        pause = self.standing.pause()
        if pause is not None:
            return pause
        # The bytes of a request are limited where it is admitted; here it is what they have become.
        return _FULL if self._open_bytes and self._open_bytes + byte_count > self._limits.max_open_bytes else None

    async def submit(
        self, rows: Sequence[bytes], deadline_us: int, reject: RejectRows | None = None, span: Span | None = None
    ) -> Verdict:
        """Wait until `rows` are durable, or until it is clear that they will not be by `deadline_us`.

        The deadline is in the clock's `elapsed_us`. `reject` makes the refusal of a row durable; without it a
        refused row makes the message Unavailable. `span` is the message's, where it is traced.
        """
        now_us, size = self._clock.elapsed_us(), sum(map(len, rows))
        refusal = self.refusal(size)
        if refusal is not None:
            return refusal
        if now_us >= deadline_us:
            return LATE
        new_future = asyncio.get_running_loop().create_future
        verdict: Verdict = DURABLE
        parts = [
            Pending(some, first, part_size, now_us, reject, span, new_future())
            for some, first, part_size in parts_of(rows, size, self._limits.batch)
        ]
        self._open_bytes += size
        self.progress.begin()
        try:
            for part in parts:
                self._deadlines.begin(part, deadline_us)
            self._dispatcher.add(parts)
            for part in parts:
                told = await part.verdict
                if verdict is DURABLE:  # the first that says otherwise counts
                    verdict = told
        finally:
            self.progress.end()
            self._open_bytes -= size
            for part in parts:
                self._deadlines.end(part)
        return verdict

    async def close(self) -> None:
        """Give up what is not durable yet: its waiters are told so, and nothing more is taken."""
        self._closed = True
        await self._dispatcher.close()
        _fail(self._deadlines.close(), _CLOSED)

    async def _take(self, batch: list[Pending]) -> None:
        try:
            await self._store(batch)
        except asyncio.CancelledError:  # whoever cancelled it: nobody is to wait for a batch that is gone
            _fail(batch, _CLOSED if self._closed else _GIVEN_UP)
            raise
        except Exception:
            _log.exception("a batch failed unexpectedly")
            _fail(batch, _GIVEN_UP)

    async def _store(self, batch: list[Pending]) -> None:
        """Append the rows of `batch`: nearly always that is all. Only then are rows looked at one by one."""
        batch = self._still_wanted(batch)
        if not batch:
            return
        outcome = await self._attempt([row for pending in batch for row in pending.rows], batch)
        if isinstance(outcome, Stored):
            self.standing.stored()
            for pending in batch:
                pending.settle(pending.row_count)
        else:
            await self._go_on(slots_of(batch), outcome)

    async def _go_on(self, slots: Sequence[Slot], outcome: Outcome) -> None:
        """After `outcome`, append the rows of `slots` until each is durable, refused, or nobody waits for it."""
        groups, failures = list[Sequence[Slot]](), 0
        while slots:
            counted = failures if isinstance(outcome, Uncertain) else self.standing.stops
            match next_step(outcome, len(slots), min(counted, MAX_FAILURES), self.standing.unexplained):
                case Settle():
                    self.standing.stored()
                    for pending, _ in slots:
                        pending.settle(1)
                case Refuse(errors, explained):
                    self.standing.refused(explained=explained)
                    self._reject(refused_of(slots, errors))
                    groups.append([slot for position, slot in enumerate(slots) if position not in errors])
                case Bisect():
                    groups += halves(slots)  # the smaller part goes first
                case Again(detail, max_delay_s):
                    failures += 1
                    self.standing.uncertain(detail, failures)
                    await self._clock.sleep(self._jitter() * max_delay_s)
                    groups.append(slots)
                case Stop() as stop if isinstance(outcome, RowsRefused) and others(groups, slots[0][0]):
                    _fail([slots[0][0]], stop.verdict)  # whether it is the table, the other messages will show
                case Stop() as stop:
                    verdict = self.standing.stop(stop)
                    _fail(self._dispatcher.take_all(), verdict)
                    _fail(messages_of(slot for group in (slots, *groups) for slot in group), verdict)
                    return
            slots = self._next(groups)
            if slots:
                outcome = await self._attempt(rows_of(slots), messages_of(slots))

    def _next(self, groups: list[Sequence[Slot]]) -> Sequence[Slot]:
        """Remove groups up to one with rows that somebody still waits for, and return those; none when none has."""
        while groups:
            slots = groups.pop()
            wanted = set(self._still_wanted(messages_of(slots)))
            if wanted:
                return [slot for slot in slots if slot[0] in wanted]
        return ()

    def _still_wanted(self, batch: Iterable[Pending]) -> list[Pending]:
        """Return those that somebody waits for; none during a pause, which began while this batch waited."""
        pause = self.standing.pause()
        if pause is not None:
            _fail(batch, pause)
        return [pending for pending in batch if not pending.verdict.done()]

    async def _attempt(self, rows: list[bytes], batch: Iterable[Pending]) -> Outcome:
        """Append `rows`, which are of `batch`, once, within the append deadline."""
        begun_us, limit, outcome = self._clock.elapsed_us(), TimeLimit(), None
        spans = [pending.span for pending in batch if pending.span is not None]
        begun = self._watch.begin(self._table, len(rows), sum(map(len, rows)), spans)
        self._attempts.begin(limit, begun_us + self._limit_us)
        try:
            outcome = await self._appender.append(rows)
        except asyncio.CancelledError:
            if not limit.exceeded():
                raise
            outcome = Uncertain(f"no answer within {self._limit_us / MICROSECONDS:g} s")
        except Exception as error:  # an Appender raises nothing a store can cause: this is a defect, told as such
            _log.exception("the append failed unexpectedly")
            outcome = Uncertain(f"{type(error).__name__}: {error}")
        finally:
            self._attempts.end(limit)
            limit.exceeded()  # although there may be an outcome: the appender made nothing of the cancellation
            self._watch.end(begun, outcome)
        if not isinstance(outcome, Uncertain):
            self.progress.answered()
            self._dispatcher.pace.acknowledged(self._clock.elapsed_us() - begun_us)
        return outcome

    def _reject(self, refused: Mapping[Pending, list[Refused]]) -> None:
        for pending, rows in refused.items():
            if pending.reject is None:
                pending.fail(Unavailable(f"the store refused it: {rows[0].error.detail}", 30.0))
            else:
                self._dispatcher.spawn(self._reject_rows(pending, pending.reject, rows))

    @staticmethod
    async def _reject_rows(pending: Pending, reject: RejectRows, rows: list[Refused]) -> None:
        verdict: Verdict = _GIVEN_UP
        try:
            verdict = await reject(rows)
        finally:
            if isinstance(verdict, Durable):
                pending.settle(len(rows))
            else:
                pending.fail(verdict)

    def found(self, obstacle: SetupError | Stored | None) -> None:
        """Take note of what a look at the table found, beside any append; an obstacle stops the writer at once."""
        stop = self.standing.found(obstacle, idle=not self._dispatcher.under_way and not len(self._dispatcher))
        if stop is not None:
            _fail(self._dispatcher.take_all(), stop.verdict)


def _fail(items: Iterable[Pending], verdict: Unavailable | Throttled) -> None:
    for item in items:
        item.fail(verdict)
