"""Append rows in groups, and let each message wait for its own.

Group commit without an artificial delay: while one append is in flight the next batch fills. The flow of a
batch is in `_store`; what follows each outcome is decided in `verdict.next_step`. A message's deadline ends its
wait and nothing else: an attempt is never cut short for one message of a batch, or a slow store would see each
batch again and again.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextvars import Context
from typing import Any

import msgspec
from opentelemetry.trace import Span

from app.clock import MICROSECONDS, Clock
from app.ingest.append_watch import AppendWatch
from app.ingest.appender import Appender, Outcome, RowError, RowsRefused, SetupError, Uncertain
from app.ingest.batcher import Batcher, BatchLimits, chunks
from app.ingest.pending import Pending, Refused, RejectRows
from app.ingest.progress import Progress
from app.ingest.standing import MAX_FAILURES, Standing
from app.ingest.verdict import (
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
_LATE = Unavailable("not durable within the request's budget", 1.0)
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


_Slot = tuple[Pending, int]  # one row: whose, and its position there


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
        self._batcher: Batcher[Pending] = Batcher(limits.batch)
        self._open: set[Pending] = set()
        self._open_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._appends = 0
        self._dispatch_due = False
        self._closed = False
        self._table, self._watch = table, watch
        self.standing = Standing(table, clock)
        self.progress = Progress(clock.elapsed_us, limits.stuck_s)

    @property
    def waiting(self) -> int:
        """How many parts of messages wait for an append."""
        return len(self._batcher)

    @property
    def oldest_wait_s(self) -> float:
        """How long the message that waits longest for an append has done so, in seconds."""
        oldest = self._batcher.oldest
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
        now_us, sizes = self._clock.elapsed_us(), [len(row) for row in rows]
        size = sum(sizes)
        refusal = self.refusal(size)
        if refusal is not None:
            return refusal
        if now_us >= deadline_us:
            return _LATE
        parts = [
            Pending(rows[cut.start : cut.stop], cut.start, now_us, reject, span)
            for cut in chunks(sizes, self._limits.batch)
        ]
        self._open_bytes += size
        self._open.update(parts)
        self.progress.begin()
        timer = self._clock.call_later((deadline_us - now_us) / MICROSECONDS, lambda: _fail(parts, _LATE))
        try:
            self._enqueue(parts)
            told = [await part.verdict for part in parts]
        finally:
            timer.cancel()
            self.progress.end()
            self._open_bytes -= size
            self._open.difference_update(parts)
        return next((verdict for verdict in told if not isinstance(verdict, Durable)), Durable())

    async def close(self) -> None:
        """Give up what is not durable yet: its waiters are told so, and nothing more is taken."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._batcher.take_all()
        _fail(list(self._open), _CLOSED)

    def _enqueue(self, parts: list[Pending]) -> None:
        for part in parts:
            self._batcher.add(part)
        if not self._dispatch_due and self._may_append():
            # Not at once: the messages that arrive in this turn of the loop share the batch.
            self._dispatch_due = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatch_due = False
        while not self._closed and self._may_append() and (batch := self._batcher.take()):
            self._appends += 1
            self._spawn(self._run(batch))

    def _may_append(self) -> bool:
        # Under load a batch that is not full is worth waiting for: each append costs the same, however small.
        return self._appends < self._appender.eager or (
            self._batcher.is_full and self._appends < self._appender.concurrency
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # In a context of its own: the trace of the message that began it is not that of all the others.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: list[Pending]) -> None:
        try:
            await self._store([(pending, index) for pending in batch for index in range(pending.row_count)])
        except Exception:
            _log.exception("a batch failed unexpectedly")
            _fail(batch, _GIVEN_UP)
        finally:
            self._appends -= 1
            self._dispatch()

    async def _store(self, slots: list[_Slot]) -> None:
        """Append the rows of `slots` until each is durable, refused, or nobody waits for it any more."""
        groups, failures = [slots], 0
        while groups:
            slots = self._still_wanted(groups.pop())
            if not slots:
                continue
            outcome = await self._attempt(slots)
            counted = failures if isinstance(outcome, Uncertain) else self.standing.stops
            match next_step(outcome, len(slots), min(counted, MAX_FAILURES), self.standing.unexplained):
                case Settle():
                    self.standing.stored()
                    for pending, _ in slots:
                        pending.settle(1)
                case Refuse(errors, explained):
                    self.standing.refused(explained=explained)
                    self._reject([(*slots[position], error) for position, error in errors.items()])
                    groups.append([slot for position, slot in enumerate(slots) if position not in errors])
                case Bisect():
                    cut = _cut(slots)
                    groups += sorted((slots[cut:], slots[:cut]), key=len, reverse=True)  # the smaller part first
                case Again(detail, max_delay_s):
                    failures += 1
                    self.standing.uncertain(detail, failures)
                    await self._clock.sleep(self._jitter() * max_delay_s)
                    groups.append(slots)
                case Stop() as stop if isinstance(outcome, RowsRefused) and _others(groups, slots[0][0]):
                    _fail([slots[0][0]], stop.verdict)  # whether it is the table, the other messages will show
                case Stop() as stop:
                    verdict = self.standing.stop(stop)
                    _fail(self._batcher.take_all(), verdict)
                    _fail((pending for group in (slots, *groups) for pending, _ in group), verdict)
                    return

    def _still_wanted(self, slots: list[_Slot]) -> list[_Slot]:
        """Return the rows that somebody waits for; none during a pause, which began while this batch waited."""
        pause = self.standing.pause()
        if pause is not None:
            _fail((pending for pending, _ in slots), pause)
        return [slot for slot in slots if not slot[0].verdict.done()]

    async def _attempt(self, slots: list[_Slot]) -> Outcome:
        """Append once, within the append deadline."""
        limit_s, outcome = self._limits.append_deadline_s, None
        rows = [pending.rows[index] for pending, index in slots]
        begun = self._watch.begin(self._table, len(rows), sum(map(len, rows)), _spans(slots))
        append = asyncio.ensure_future(self._appender.append(rows))
        timer = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            await asyncio.wait([append, timer], return_when=asyncio.FIRST_COMPLETED)
            outcome = append.result() if append.done() else Uncertain(f"no answer within {limit_s:g} s")
        except Exception as error:  # an Appender raises nothing a store can cause: this is a defect, told as such
            _log.exception("the append failed unexpectedly")
            outcome = Uncertain(f"{type(error).__name__}: {error}")
        finally:
            self._watch.end(begun, outcome)
            append.cancel()
            timer.cancel()
        if not isinstance(outcome, Uncertain):
            self.progress.answered()
        return outcome

    def _reject(self, refused: list[tuple[Pending, int, RowError]]) -> None:
        by_message: dict[Pending, list[Refused]] = {}
        for pending, index, error in refused:
            by_message.setdefault(pending, []).append(Refused(pending.first + index, error))
        for pending, rows in by_message.items():
            if pending.reject is None:
                pending.fail(Unavailable(f"the store refused it: {rows[0].error.detail}", 30.0))
            else:
                self._spawn(self._reject_rows(pending, pending.reject, rows))

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

    def found(self, obstacle: SetupError | None) -> None:
        """Take note of what a look at the table found, beside any append; an obstacle stops the writer at once."""
        stop = self.standing.found(obstacle, idle=not self._appends and not len(self._batcher))
        if stop is not None:
            _fail(self._batcher.take_all(), stop.verdict)


def _fail(items: Iterable[Pending], verdict: Unavailable | Throttled) -> None:
    for item in items:
        item.fail(verdict)


def _spans(slots: Sequence[_Slot]) -> list[Span]:
    """Return the spans of the messages that the rows are of, those that are traced; nearly always none."""
    found = {id(pending): pending.span for pending, _ in slots if pending.span is not None}
    return [span for span in found.values() if span is not None]


def _others(groups: list[list[_Slot]], message: Pending) -> bool:
    return any(pending is not message and not pending.verdict.done() for group in groups for pending, _ in group)


def _cut(slots: list[_Slot]) -> int:
    """Return where to halve `slots`: between two messages if there are several, so that neighbours part first."""
    middle = len(slots) // 2
    between = [index for index in range(1, len(slots)) if slots[index - 1][0] is not slots[index][0]]
    return min(between, key=lambda index: abs(index - middle), default=middle)
