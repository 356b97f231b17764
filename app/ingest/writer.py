"""Append rows in groups, and let each message wait for its own.

Group commit without an artificial delay: while one append is in flight the next batch fills. The flow of a
batch is in `_store`; what follows each outcome is decided in `verdict.next_step`.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from app.clock import MICROSECONDS, Clock
from app.ingest.appender import Appender, Outcome, RowError, SinkState, Uncertain
from app.ingest.batcher import Batcher, BatchLimits, chunks
from app.ingest.pending import Pending, Refused, RejectRows
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
_GIVEN_UP = Unavailable("the append was given up", 1.0)
_FULL = Throttled("as much waits for the store as this instance holds", 1.0)
_CLOSED = Unavailable("the instance is shutting down", 1.0)
_MAX_FAILURES = 10  # beyond it the back-offs have long reached their ceilings


class WriterLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The caps of one append, how long an attempt may take, and how many bytes may wait for the store."""

    batch: BatchLimits
    append_deadline_s: float
    max_open_bytes: int


_Slot = tuple[Pending, int]  # one row: whose, and its position there


class Writer:
    """Writes the rows of one table through an Appender."""

    def __init__(
        self,
        appender: Appender,
        clock: Clock,
        limits: WriterLimits,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._appender, self._clock, self._jitter = appender, clock, jitter
        self._limits, self._open_bytes = limits, 0
        self._batcher: Batcher[Pending] = Batcher(limits.batch)
        self._tasks: set[asyncio.Task[None]] = set()
        self._appends = 0
        self._failures = 0
        self._paused_until_us = 0
        self._pause: Unavailable | Throttled | None = None
        self._dispatch_due = False
        self._closed = False
        self.state = SinkState.ACTIVE
        self.detail = ""

    @property
    def waiting(self) -> int:
        """How many parts of messages wait for an append."""
        return len(self._batcher)

    @property
    def oldest_wait_s(self) -> float:
        """How long the message that waits longest for an append has done so, in seconds."""
        oldest = self._batcher.oldest
        return 0.0 if oldest is None else (self._clock.now_us() - oldest.begun_us) / MICROSECONDS

    async def submit(self, rows: Sequence[bytes], deadline_us: int, reject: RejectRows | None = None) -> Verdict:
        """Wait until `rows` are durable, or until it is clear that they will not be by `deadline_us`.

        `reject` makes the refusal of a row durable; without it a refused row makes the message Unavailable.
        """
        now_us = self._clock.now_us()
        if self._closed:
            return _CLOSED
        if self._pause is not None:
            if now_us < self._paused_until_us:
                return self._pause
            self._pause = None
        size = sum(map(len, rows))
        # The bytes of a request are limited where it is admitted; here it is what they have become.
        if self._open_bytes and self._open_bytes + size > self._limits.max_open_bytes:
            return _FULL
        self._open_bytes += size
        try:
            return await self._wait_for(rows, now_us, deadline_us, reject)
        finally:
            self._open_bytes -= size

    async def _wait_for(
        self, rows: Sequence[bytes], now_us: int, deadline_us: int, reject: RejectRows | None
    ) -> Verdict:
        parts = [
            Pending(rows[cut.start : cut.stop], cut.start, now_us, deadline_us, reject)
            for cut in chunks([len(row) for row in rows], self._limits.batch)
        ]
        for part in parts:
            self._batcher.add(part)
        if not self._dispatch_due and self._appends < self._appender.concurrency:
            # Not at once: the messages that arrive in this turn of the loop share the batch.
            self._dispatch_due = True
            asyncio.get_running_loop().call_soon(self._dispatch)
        verdict: Verdict = Durable()
        for part in parts:
            told = await part.verdict
            verdict = told if isinstance(verdict, Durable) else verdict
        return verdict

    async def drain(self, grace_s: float) -> None:
        """Wait until everything submitted is answered; what is not within `grace_s` is told Unavailable."""
        timer = asyncio.ensure_future(self._clock.sleep(grace_s))
        while (self._tasks or self._batcher) and not timer.done():
            self._dispatch()
            await asyncio.wait([timer, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(self._batcher.take_all(), _CLOSED)

    def _dispatch(self) -> None:
        self._dispatch_due = False
        while not self._closed and self._appends < self._appender.concurrency and (batch := self._batcher.take()):
            self._appends += 1
            self._spawn(self._run(batch))

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: list[Pending]) -> None:
        try:
            await self._store([(pending, index) for pending in batch for index in range(pending.row_count)])
        except BaseException:  # cancelled by `drain`, or a defect: nobody is left waiting
            self._fail(batch, _GIVEN_UP)
            raise
        finally:
            self._appends -= 1
            self._dispatch()

    async def _store(self, slots: list[_Slot]) -> None:
        """Append the rows of `slots` until each is durable, refused, or out of time."""
        while slots := self._in_time(slots):
            outcome = await self._attempt(slots)
            step = next_step(outcome, len(slots), min(self._failures, _MAX_FAILURES))
            match step:
                case Settle():
                    self._recovered()
                    for pending, _ in slots:
                        pending.settle(1)
                    return
                case Refuse(errors):
                    self._recovered()
                    self._reject([(*slots[position], error) for position, error in errors.items()])
                    slots = [slot for position, slot in enumerate(slots) if position not in errors]
                case Bisect():
                    self._recovered()
                    middle = len(slots) // 2
                    await self._store(slots[:middle])
                    slots = slots[middle:]
                case Again(max_delay_s):
                    self._failed(SinkState.UNREACHABLE, str(outcome))
                    await self._clock.sleep(min(self._jitter() * max_delay_s, self._left_s(slots)))
                case Stop(state, verdict):
                    self._failed(state, verdict.detail)
                    self._pause = verdict
                    self._paused_until_us = self._clock.now_us() + round(verdict.retry_after_s * MICROSECONDS)
                    self._fail([pending for pending, _ in slots], verdict)
                    self._fail(self._batcher.take_all(), verdict)
                    return

    def _in_time(self, slots: list[_Slot]) -> list[_Slot]:
        """Return the rows whose message has time left; tell the others' waiters."""
        now_us = self._clock.now_us()
        late = [pending for pending, _ in slots if pending.deadline_us <= now_us]
        if late:
            self._fail(late, Unavailable("not durable within the request's budget", 1.0))
        return [slot for slot in slots if not slot[0].verdict.done()]

    def _left_s(self, slots: list[_Slot]) -> float:
        """Return how long the first of these messages to run out of time still has."""
        return max(min(pending.deadline_us for pending, _ in slots) - self._clock.now_us(), 0) / MICROSECONDS

    async def _attempt(self, slots: list[_Slot]) -> Outcome:
        """Append once, within the append deadline and the oldest message's."""
        limit_s = min(self._limits.append_deadline_s, self._left_s(slots))
        append = asyncio.ensure_future(self._appender.append([pending.rows[index] for pending, index in slots]))
        timer = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            await asyncio.wait([append, timer], return_when=asyncio.FIRST_COMPLETED)
            if not append.done():
                return Uncertain(f"no answer within {limit_s:.3g} s")
            return append.result()
        except Exception as error:  # an Appender raises nothing a store can cause: this is a defect, told as such
            _log.exception("the append failed unexpectedly")
            return Uncertain(f"{type(error).__name__}: {error}")
        finally:
            append.cancel()
            timer.cancel()

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

    def _recovered(self) -> None:
        self._failures, self.state, self.detail = 0, SinkState.ACTIVE, ""

    def _failed(self, state: SinkState, detail: str) -> None:
        if self.state is not state:
            _log.warning("sink state %s: %s", state.value, detail)
        self._failures, self.state, self.detail = self._failures + 1, state, detail

    @staticmethod
    def _fail(items: list[Pending], verdict: Unavailable | Throttled) -> None:
        for item in items:
            item.fail(verdict)
