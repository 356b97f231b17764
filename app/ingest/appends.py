"""Run one append: its time limit, its measurements, the clock it needs, and the rejects that follow it."""

import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from opentelemetry.trace import Span

from app.ingest.pending import OnRefused, Pending, Refused
from app.ingest.sink_health import SinkHealth
from app.ingest.verdict import Durable, Throttled, Unavailable, Verdict
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import Deadlines, TimeLimit
from app.runtime.time_of_day import BELIEVED_AFTER_US
from app.stores.sink import (
    Appender,
    Outcome,
    QuotaExceeded,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)
from app.stores.stamping import LateCancellationError
from app.telemetry import attributes as names
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing, end_span


class Begun(NamedTuple):
    """An append in flight."""

    table: str
    at_us: int
    span: Span | None


class AppendWatch:
    """Measures the appends of all writers. `system` is the store's name in traces."""

    def __init__(self, metrics: Metrics, tracing: Tracing, clock: Clock, *, system: str) -> None:
        self._metrics, self._tracing, self._clock, self._system = metrics, tracing, clock, system

    def begin(self, table: str, rows: int, size: int, messages: Sequence[Span]) -> Begun:
        """Record that an append of `rows` rows and `size` bytes begins; `messages` are the spans of traced ones."""
        self._metrics.append_rows.record(rows, table)
        self._metrics.append_size.record(size, table)
        span = None
        if messages:
            attributes: dict[str, str | int] = {
                names.DB_SYSTEM: self._system,
                names.DB_COLLECTION: table,
                names.DB_BATCH_SIZE: rows,
                names.APPEND_SIZE: size,
            }
            span = self._tracing.append(messages, attributes)
        return Begun(table, self._clock.elapsed_us(), span)

    def late(self, table: str, rows: int) -> None:
        """Count late rows, which are appended once more."""
        self._metrics.late_rows[table] += rows

    def end(self, begun: Begun, outcome: Outcome | None) -> None:
        """Record how an append ended; None means that it was abandoned."""
        word = _WORDS[type(outcome)]
        took_s = (self._clock.elapsed_us() - begun.at_us) / MICROSECONDS
        self._metrics.append_duration.record(took_s, begun.table, word)
        if begun.span is not None:
            end_span(begun.span, {names.OUTCOME: word}, None if word == "stored" else word)


_WORDS: dict[type, str] = {
    Stored: "stored",
    RowsRefused: "refused",
    RowsHeld: "held",
    TooLarge: "too_large",
    Uncertain: "uncertain",
    QuotaExceeded: "quota",
    SetupError: "setup",
    type(None): "given_up",
}


_log = logging.getLogger("sluice.writer")
GIVEN_UP = Unavailable("the append was abandoned", 1.0)
_CLOCK_LOOK_S = 0.25
_CLOCK_WAIT_US = BELIEVED_AFTER_US + MICROSECONDS  # by then a jump is believed; trouble that lasts longer is not a jump


class Appends:
    """The appends of one table.

    `answered` receives the time to each definite answer from the store, in microseconds. `spawn` runs a coroutine in
    the background until the writer is closed.
    """

    def __init__(  # noqa: PLR0913 - what appends of one table need
        self,
        appender: Appender,
        clock: Clock,
        health: SinkHealth,
        *,
        table: str,
        watch: AppendWatch,
        limit_s: float,
        answered: Callable[[int], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.appender, self.clock, self.health = appender, clock, health
        self.table, self.watch, self.spawn, self._answered = table, watch, spawn, answered
        watch.late(table, 0)  # so that the counter is there before it counts
        self._limit_us = round(limit_s * MICROSECONDS)
        self._limits: Deadlines[TimeLimit] = Deadlines(clock)

    async def attempt(self, rows: list[bytes], batch: Iterable[Pending]) -> Outcome:
        """Append the `rows` of `batch` once, within the append deadline, and only while the clock can be trusted."""
        if self.clock.trouble() and (obstacle := await self._clock_obstacle()) is not None:
            return obstacle
        begun_us, outcome = self.clock.elapsed_us(), None
        spans = [pending.span for pending in batch if pending.span is not None]
        begun = self.watch.begin(self.table, len(rows), sum(map(len, rows)), spans)
        try:
            with TimeLimit(self._limits, begun_us + self._limit_us):
                outcome = await self.appender.append(rows)
        except TimeoutError as error:
            late = isinstance(error.__cause__, LateCancellationError)
            outcome = Uncertain(f"the store did not answer within {self._limit_us / MICROSECONDS:g} s", late)
        except Exception as error:  # an Appender raises nothing that a store can cause, so this is a defect
            _log.exception("the append failed unexpectedly")
            outcome = Uncertain(f"{type(error).__name__}: {error}")
        finally:
            self.watch.end(begun, outcome)
        if not isinstance(outcome, Uncertain | RowsHeld):  # rows are held without a request
            self._answered(self.clock.elapsed_us() - begun_us)
        return outcome

    async def _clock_obstacle(self) -> SetupError | None:
        """Wait while the clock may have jumped; return the obstacle if the trouble lasts longer than a jump."""
        begun_us = self.clock.elapsed_us()
        while trouble := self.clock.trouble():
            was_known = self.health.state is SinkState.CLOCK_WRONG and self.health.circuit.trips
            if was_known or self.clock.elapsed_us() - begun_us >= _CLOCK_WAIT_US:
                return SetupError(SinkState.CLOCK_WRONG, trouble)
            self.health.trouble(SinkState.CLOCK_WRONG, trouble)
            await self.clock.sleep(_CLOCK_LOOK_S)
        return None

    async def back_off(self, delay_s: float) -> bool:
        """Wait before rows are sent again; return whether the process was held up for so long that they are late.

        An abandoned request may still be queued in this process, if others wait for the same connection.
        """
        begun, fence = self.clock.moment(), self.appender.fence
        await self.clock.sleep(delay_s)
        if fence is None:
            return False
        return begun.until_us(self.clock.moment()) > delay_s * MICROSECONDS + fence.margin_us

    def still_wanted(self, batch: Iterable[Pending]) -> list[Pending]:
        """Return the parts that are still waiting; fail all of them if a pause began while this batch waited."""
        pause = self.health.pause()
        if pause is not None:
            fail(batch, pause)
        return [pending for pending in batch if not pending.verdict.done()]

    def reject(self, refused: Mapping[Pending, list[Refused]]) -> None:
        """Make the rejection of rows durable, in the background."""
        for pending, rows in refused.items():
            if pending.reject is None:
                pending.fail(Unavailable(f"the store refused the row: {rows[0].error.detail}", 30.0))
            else:
                self.spawn(_reject_rows(pending, pending.reject, rows))


async def _reject_rows(pending: Pending, reject: OnRefused, rows: list[Refused]) -> None:
    verdict: Verdict = GIVEN_UP
    try:
        verdict = await reject(rows)
    finally:
        if isinstance(verdict, Durable):
            pending.settle(len(rows))
        else:
            pending.fail(verdict)


def fail(items: Iterable[Pending], verdict: Unavailable | Throttled) -> None:
    """Answer the waiters that their rows are not durable."""
    for item in items:
        item.fail(verdict)
