"""Write the rows of one table: append them in batches, and let each message wait for its own rows.

`batching` decides when a batch goes out, `_write` appends it. If not all of it was stored in time, `_resolve` goes on:
one list of groups of rows, one step for each outcome (`retry_policy.decide`). A message's deadline ends only its wait,
never the attempt. If it cut the attempt short, a slow store would receive the same batch again and again.

Late rows may lie behind readers, who take a row under the same key for a copy. So they are appended once more under
another key, by the same loop in a task of its own, even if their message was abandoned: its next delivery, under the
plain key, passes for a copy too. If they are late again, they get yet another key. What remains: a process that ends
between a late commit and this, and a commit that comes later than the margin after we abandoned the rows
(docs/runbook.md).
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from opentelemetry.trace import Span

from app.environment import Environment
from app.ingest.verdict import CLOSED, DURABLE, LATE, Durable, Throttled, Unavailable, Verdict
from app.ingest.write.batching import (
    BatchLimits,
    Dispatcher,
    OnRefused,
    Pending,
    Refusals,
    SharedTarget,
    fail,
    parts_of,
)
from app.ingest.write.health import SinkHealth, StallWatchdog, again_s
from app.ingest.write.retry_policy import (
    RETRY_MAX_S,
    Attempt,
    Check,
    Complete,
    Isolate,
    Postpone,
    Redeliver,
    RejectRows,
    Rekey,
    Retry,
    Split,
    Step,
    Trip,
    decide,
    decide_checked,
)
from app.runtime.clock import MICROSECONDS
from app.runtime.deadlines import Deadlines, TimeLimit, set_within
from app.runtime.time_of_day import BELIEVED_AFTER_US
from app.stores.sink import (
    Appender,
    Outcome,
    QuotaExceeded,
    RowError,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TableCheck,
    TooLarge,
    Uncertain,
)
from app.stores.stamping import LateCancellationError
from app.telemetry.tracing import APPEND_SIZE, DB_BATCH_SIZE, DB_COLLECTION, DB_SYSTEM, OUTCOME, end_span

_log = logging.getLogger("sluice.writer")
_FULL = Throttled("too many messages wait for the store on this instance", 1.0)
_GIVEN_UP = Unavailable("the append was abandoned", 1.0)
_CLOCK_LOOK_S, _PAUSE_LOOK_S = 0.25, 1.0
_CLOCK_WAIT_US = BELIEVED_AFTER_US + MICROSECONDS  # by then a jump is believed; trouble that lasts longer is not a jump
_CLOSES_WITHIN_S = 1.0
_MAX_REMEMBERED = 10_000
_BATCH_BYTES = 4_500_000
"""The most bytes of rows that share an append: over the embedded store, 9 MB took 70 MiB more (gzip-of-arrays)."""


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
"""The outcome of an append in metrics and traces."""


Slot = tuple[Pending, int]
"""One row: the part of a message that holds it, and its position there."""


class Group(msgspec.Struct, frozen=True):
    """Rows that are appended together.

    `lateness` is 0 or the number of the key under which they are appended again because they were late
    (app.stores.sink): then they are appended even if their messages were abandoned.
    """

    slots: Sequence[Slot]
    lateness: int = 0

    def messages(self) -> list[Pending]:
        """Return the messages of these rows, each once, in order."""
        return list(dict.fromkeys(message for message, _ in self.slots))

    def of(self, slots: Sequence[Slot]) -> "Group":
        """Return some of the rows as a group of their own."""
        return Group(slots, self.lateness)

    def halves(self) -> tuple["Group", "Group"]:
        """Halve the group, between two messages if there are several."""
        slots = self.slots
        middle = len(slots) // 2
        between = [index for index in range(1, len(slots)) if slots[index - 1][0] is not slots[index][0]]
        cut = min(between, key=lambda index: abs(index - middle), default=middle)
        return self.of(slots[cut:]), self.of(slots[:cut])

    def without(self, errors: Mapping[int, RowError]) -> dict[Pending, list[Slot]]:
        """Return the rows but those at these positions, by message."""
        rest: dict[Pending, list[Slot]] = {}
        for position, slot in enumerate(self.slots):
            if position not in errors:
                rest.setdefault(slot[0], []).append(slot)
        return rest

    def refused(self, errors: Mapping[int, RowError]) -> dict[Pending, dict[int, RowError]]:
        """Return the errors by message, and by position in it; `errors` are by position in the group."""
        refused: dict[Pending, dict[int, RowError]] = {}
        for position, error in errors.items():
            message, index = self.slots[position]
            refused.setdefault(message, {})[message.first + index] = error
        return refused


class TableWriter:
    """Writes the rows of one table through an Appender.

    `shared` is a target for several tables (`batching`), and `system` the store's name in traces.
    """

    def __init__(  # noqa: PLR0913 - what one table's writer needs
        self,
        appender: Appender,
        environment: Environment,
        *,
        table: str,
        system: str = "",
        shared: SharedTarget | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._appender, self._clock, self._jitter = appender, environment.clock, jitter
        self._table, self._system = table, system
        self._metrics, self._tracing = environment.metrics, environment.tracing
        self._metrics.late_rows[table] += 0  # so that the counter is there before it counts
        limits, clock = environment.settings.ingest, environment.clock
        self._max_open_bytes = limits.max_in_flight_bytes
        max_bytes = min(limits.max_batch_bytes, _BATCH_BYTES)
        self._batch = BatchLimits(max_rows=limits.max_batch_rows, max_bytes=max_bytes)
        self._deadlines: Deadlines[Pending] = Deadlines(clock)
        self._append_limits: Deadlines[TimeLimit] = Deadlines(clock)
        self._append_deadline_s = environment.settings.store.append_deadline_s
        self._append_limit_us = round(self._append_deadline_s * MICROSECONDS)
        in_flight = {"target_in_flight": appender.target_in_flight, "max_in_flight": appender.max_in_flight}
        self._dispatcher = Dispatcher(self._write_batch, clock, self._batch, **in_flight, shared=shared)
        self.health = SinkHealth(table, clock)
        self.progress = StallWatchdog(clock.elapsed_us, limits.stuck_s)
        self._open_bytes, self._flows, self._closed = 0, 0, False
        self._begun = self._newest_stored = 0
        """How many appends have begun, and the number of the newest one that was stored."""
        self._refused: dict[str, Refusals] = {}
        """By key, across deliveries: messages that were refused alone; the latest is the last."""
        self._alone = asyncio.Lock()  # messages that were refused before are appended one at a time
        self._late_groups = 0
        self._no_late_groups = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many parts of messages wait for an append."""
        return len(self._dispatcher.waiting)

    @property
    def oldest_wait_s(self) -> float:
        """How long the oldest waiting message has waited for an append, in seconds."""
        oldest = self._dispatcher.waiting.oldest
        return 0.0 if oldest is None else (self._clock.elapsed_us() - oldest.begun_us) / MICROSECONDS

    def refusal(self, byte_count: int = 0) -> Unavailable | Throttled | None:
        """Say why `byte_count` more bytes would be refused at once, or None."""
        if self._closed:
            return CLOSED
        if (pause := self.health.pause()) is not None:
            return pause
        # Admission limits the bytes of requests; this limits the bytes of the rows made from them.
        return _FULL if self._open_bytes and self._open_bytes + byte_count > self._max_open_bytes else None

    async def submit(
        self,
        rows: Sequence[bytes],
        deadline_us: int,
        reject: OnRefused | None = None,
        span: Span | None = None,
        *,
        key: str = "",
    ) -> Verdict:
        """Wait until `rows` are durable, or until it is clear that they will not be by `deadline_us`.

        The deadline is in the clock's `elapsed_us`. Without `reject`, a refused row makes the message Unavailable.
        `reject`, `span` and `key` are those of Pending.
        """
        now_us, size = self._clock.elapsed_us(), sum(map(len, rows))
        if (refusal := self.refusal(size)) is not None:
            return refusal
        if now_us >= deadline_us:
            return LATE
        self._open_bytes += size
        self.progress.begin(now_us)
        try:
            # One part after the other: a large message does not hold up small ones, and ends at its first failure.
            for some, first, part_size in parts_of(rows, size, self._batch):
                verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
                part = Pending(some, first, part_size, now_us, reject, span, verdict, key)
                self._deadlines.begin(part, deadline_us)
                try:
                    self._begin(part)
                    if (answer := await verdict) is not DURABLE:
                        return answer
                finally:
                    self._deadlines.end(part)
            return DURABLE
        finally:
            self.progress.end()
            self._open_bytes -= size

    async def close(self) -> None:
        """Abandon what is not durable yet, answer its waiters, and accept no more messages.

        Late rows have a moment to become durable, as nothing resumes them later.
        """
        self._closed = True
        if self._late_groups:
            await set_within(self._clock, _CLOSES_WITHIN_S, self._no_late_groups)
        await self._dispatcher.close()
        fail(self._deadlines.close(), CLOSED)

    def record_check(self, obstacle: TableCheck) -> None:
        """Record the result of a table check, made independently of appends; an obstacle stops the writer at once."""
        idle = not (self._flows or self._open_bytes)
        if (trip := self.health.record_check(obstacle, idle=idle)) is not None:
            fail(self._dispatcher.waiting.take_all(), trip.verdict)

    async def watch(self) -> None:
        """Check the table at the start, and every half minute while something is wrong with it.

        So `/health/ready` shows a set-up problem before the first message. It clears when the table is fixed, without a
        restart and without waiting for a message to try.
        """
        while True:
            try:
                self.record_check(await self._appender.check())
            except Exception:  # a defect of the check must not end the watch
                _log.exception("the table could not be checked")
            await self.health.troubled.wait()
            await self._clock.sleep(again_s(self.health.state))

    def _begin(self, part: Pending) -> None:
        """Let `part` wait for an append. A message that was refused before has no neighbours."""
        part.refusals = self._refused.get(part.key)
        if part.refusals is None:
            self._dispatcher.add(part)
        else:
            self._dispatcher.spawn(self._write_alone(part))

    async def _write_alone(self, part: Pending) -> None:
        async with self._alone:
            await self._write_batch([part])
        if part.verdict.done() and part.verdict.result() is DURABLE:
            self._refused.pop(part.key, None)

    async def _write_batch(self, batch: list[Pending]) -> None:
        """Write `batch`; whatever happens, no message goes on waiting for it."""
        self._flows += 1
        try:
            await self._write(self._still_wanted(batch))
        except asyncio.CancelledError:
            fail(batch, CLOSED if self._closed else _GIVEN_UP)
            raise
        except Exception:
            _log.exception("a batch failed unexpectedly")
            fail(batch, _GIVEN_UP)
        finally:
            self._flows -= 1

    async def _write(self, batch: list[Pending]) -> None:
        """Append the rows of `batch`; handle rows one by one only if not all of them were stored in time."""
        if not batch:
            return
        newest_stored = self._newest_stored
        rows = batch[0].rows if len(batch) == 1 else [row for message in batch for row in message.rows]
        outcome = await self._append(rows, batch)
        if isinstance(outcome, Stored) and not outcome.late:
            self.health.stored()
            for message in batch:
                message.settle(len(message.rows))
        else:
            group = Group([(message, index) for message in batch for index in range(len(message.rows))])
            await self._resolve(deque(), group, outcome, newest_stored)

    async def _resolve(  # noqa: C901, PLR0912 - one branch for each step
        self, groups: deque[Group], group: Group | None, outcome: Outcome | None, newest_stored: int = 0
    ) -> None:
        """Append the rows of `groups` until each is durable, rejected, or abandoned by its message.

        `outcome` is that of `group`, if it was appended before, and `newest_stored` the one that was known when that
        append began.
        """
        again, failures = deque[Group](), 0  # `again` comes when `groups` is empty
        while True:
            if group is None or outcome is None:
                if (group := await self._next_group(groups, again)) is None:
                    return
                newest_stored = self._newest_stored
                outcome = await self._append(self._rows_of(group), group.messages())
            match await self._next_step(group, outcome, newest_stored, failures):
                case Complete():
                    self.health.stored()
                    for message, _ in group.slots:
                        message.settle(1)
                case Rekey():
                    self._append_late(group)
                case RejectRows(errors):
                    self._reject(group, errors)
                    rest = group.without(errors)
                    named = [rest.pop(message) for message in group.refused(errors) if message in rest]
                    again += [group.of(slots) for slots in named]  # the store may name one row at a time
                    if rest:
                        groups.append(group.of([slot for slots in rest.values() for slot in slots]))
                case Split():
                    groups += group.halves()
                case Isolate():
                    message, _ = group.slots[0]  # the only one
                    self.health.refused(message.key or f"part {id(message)}")
                    again.append(group)
                    groups.rotate(-1)  # the messages least related to this one show soonest whether it is the table
                case Retry(detail, max_delay_s):
                    failures += 1
                    self.health.uncertain(detail, failures)
                    if await self._back_off(self._jitter() * max_delay_s):
                        self._append_late(group)
                    else:
                        groups.append(group)
                case Postpone(positions, detail, verdict):
                    self.progress.answered()
                    self.health.lack(detail)
                    await self._postpone(group, positions, verdict)
                    groups.append(group)
                case Redeliver(verdict):
                    self._remember(group)
                    await self._postpone(group, range(len(group.slots)), verdict)
                    groups.append(group)
                case Trip() as trip:
                    fail(self._dispatcher.waiting.take_all(), self.health.trip(trip))
                    groups.append(group)  # a pause fails all groups but late ones, which wait for its end
            outcome = None

    async def _next_step(self, group: Group, outcome: Outcome, newest_stored: int, failures: int) -> Step:
        """Decide what follows `outcome` of an append of `group`, and note a refusal."""
        messages = group.messages()
        attempt = Attempt(
            rows=len(group.slots), messages=len(messages), failures=failures, trips=self.health.circuit.trips
        )
        if not isinstance(outcome, RowsRefused):
            return decide(outcome, attempt)
        for message in messages:
            if message.refusals is None:
                message.refusals = Refusals(self._begun)
        refusals = messages[0].refusals
        if len(messages) > 1 or refusals is None:
            return decide(outcome, attempt)
        is_idle = self._flows == 1 and not len(self._dispatcher.waiting)
        attempt = msgspec.structs.replace(
            attempt,
            refusals=refusals.alone,
            # A row that was late was sent before: it is not at fault, whatever else is stored.
            deliveries=0 if group.lateness else refusals.deliveries,
            stored_since=newest_stored > refusals.since and not group.lateness,
            table_is_doubtful=self.health.is_doubtful,
            table_refuses=self.health.refuses_all(idle=is_idle and refusals.alone > 0) and not group.lateness,
        )
        refusals.alone += 1
        step = decide(outcome, attempt)
        return decide_checked(await self._appender.check(), outcome, attempt) if isinstance(step, Check) else step

    async def _next_group(self, groups: deque[Group], again: deque[Group]) -> Group | None:
        """Remove groups until one has rows that must still be appended, and return those; None if none has."""
        while groups or again:
            group = (groups or again).pop()
            if group.lateness:
                while (pause := self.health.pause()) is not None:
                    await self._clock.sleep(min(pause.retry_after_s, _PAUSE_LOOK_S))
                return group
            live = set(self._still_wanted(group.messages()))
            if live:
                return group.of([slot for slot in group.slots if slot[0] in live])
        return None

    def _still_wanted(self, messages: list[Pending]) -> list[Pending]:
        """Return the messages that are still waiting; fail all of them if a pause began while they waited."""
        if (pause := self.health.pause()) is not None:
            fail(messages, pause)
        return [message for message in messages if not message.verdict.done()]

    async def _postpone(self, group: Group, positions: Iterable[int], verdict: Unavailable) -> None:
        """Fail the messages of these rows; late rows wait in place of that, as no delivery repeats their key."""
        if group.lateness:
            await self._clock.sleep(RETRY_MAX_S)
        else:
            fail({group.slots[position][0] for position in positions}, verdict)

    def _remember(self, group: Group) -> None:
        message = group.slots[0][0]
        if message.refusals is not None and message.key and not group.lateness:
            message.refusals.deliveries += 1
            self._refused.pop(message.key, None)
            self._refused[message.key] = message.refusals
            if len(self._refused) > _MAX_REMEMBERED:
                del self._refused[next(iter(self._refused))]

    def _reject(self, group: Group, errors: Mapping[int, RowError]) -> None:
        """Make the rejection of rows durable, in the background."""
        self.health.recover()  # the store answers
        for message, rows in group.refused(errors).items():
            if message.reject is None:
                detail = next(iter(rows.values())).detail
                message.fail(Unavailable(f"the store refused the row: {detail}", 30.0))
            else:
                self._dispatcher.spawn(_reject_rows(message, message.reject, rows))

    def _append_late(self, group: Group) -> None:
        """Append late rows under the next key, in a task of their own: nobody else waits for that."""
        self._metrics.late_rows[self._table] += len(group.slots)
        _log.warning(
            "table %s: %d rows of %d messages were committed so late after their timestamp that readers may "
            "have passed them; they are appended once more under another key",
            self._table,
            len(group.slots),
            len(group.messages()),
        )
        self._late_groups += 1
        self._no_late_groups.clear()
        self._dispatcher.spawn(self._write_late(Group(group.slots, group.lateness + 1)))

    async def _write_late(self, group: Group) -> None:
        size = sum(len(message.rows[index]) for message, index in group.slots)
        self._open_bytes += size
        is_done = False
        try:
            await self._resolve(deque([group]), None, None)
            is_done = True
        finally:
            self._open_bytes -= size
            self._late_groups -= 1
            if not self._late_groups:
                self._no_late_groups.set()
            if not is_done:
                _log.error(
                    "table %s: %d late rows were not stored again: readers that have passed them will not see them",
                    self._table,
                    len(group.slots),
                )

    def _rows_of(self, group: Group) -> list[bytes]:
        rows = [message.rows[index] for message, index in group.slots]
        return [self._appender.rekeyed(row, group.lateness) for row in rows] if group.lateness else rows

    async def _append(self, rows: Sequence[bytes], messages: Iterable[Pending]) -> Outcome:
        """Append `rows` once, within the append deadline, and only while the clock can be trusted."""
        if self._clock.trouble() and (obstacle := await self._clock_obstacle()) is not None:
            return obstacle
        self._begun += 1
        number, begun_us, outcome = self._begun, self._clock.elapsed_us(), None
        spans = [message.span for message in messages if message.span is not None]
        span = self._measured(rows, spans)
        try:
            with TimeLimit(self._append_limits, begun_us + self._append_limit_us):
                outcome = await self._appender.append(rows)
        except TimeoutError as error:
            late = isinstance(error.__cause__, LateCancellationError)
            outcome = Uncertain(f"the store did not answer within {self._append_deadline_s:g} s", late)
        except Exception as error:  # an Appender raises nothing that a store can cause, so this is a defect
            _log.exception("the append failed unexpectedly")
            outcome = Uncertain(f"{type(error).__name__}: {error}")
        finally:
            word, took_us = _WORDS[type(outcome)], self._clock.elapsed_us() - begun_us
            self._metrics.append_duration.record(took_us / MICROSECONDS, self._table, word)
            if span is not None:
                end_span(span, {OUTCOME: word}, None if word == "stored" else word)
        if isinstance(outcome, Stored):
            self._newest_stored = max(self._newest_stored, number)
        if not isinstance(outcome, Uncertain | RowsHeld):  # rows are held without a request
            self.progress.answered()
            self._dispatcher.acknowledged(took_us)
        return outcome

    def _measured(self, rows: Sequence[bytes], messages: Sequence[Span]) -> Span | None:
        """Measure an append that begins; return its span if any of its `messages` is traced."""
        size = sum(map(len, rows))
        self._metrics.append_rows.record(len(rows), self._table)
        self._metrics.append_size.record(size, self._table)
        if not messages:
            return None
        attributes: dict[str, str | int] = {
            DB_SYSTEM: self._system,
            DB_COLLECTION: self._table,
            DB_BATCH_SIZE: len(rows),
            APPEND_SIZE: size,
        }
        return self._tracing.append(messages, attributes)

    async def _clock_obstacle(self) -> SetupError | None:
        """Wait while the clock may have jumped; return the obstacle if the trouble lasts longer than a jump."""
        begun_us = self._clock.elapsed_us()
        while trouble := self._clock.trouble():
            was_known = self.health.state is SinkState.CLOCK_WRONG and self.health.circuit.trips
            if was_known or self._clock.elapsed_us() - begun_us >= _CLOCK_WAIT_US:
                return SetupError(SinkState.CLOCK_WRONG, trouble)
            self.health.trouble(SinkState.CLOCK_WRONG, trouble)
            await self._clock.sleep(_CLOCK_LOOK_S)
        return None

    async def _back_off(self, delay_s: float) -> bool:
        """Wait before rows are sent again; return whether the process was held up for so long that they are late.

        An abandoned request may still be queued in this process, if others wait for the same connection.
        """
        begun, limits = self._clock.moment(), self._appender.lateness_limits
        await self._clock.sleep(delay_s)
        if limits is None:
            return False
        return begun.until_us(self._clock.moment()) > delay_s * MICROSECONDS + limits.margin_us


async def _reject_rows(message: Pending, reject: OnRefused, rows: Mapping[int, RowError]) -> None:
    verdict: Verdict = _GIVEN_UP
    try:
        verdict = await reject(rows)
    finally:
        if isinstance(verdict, Durable):
            message.settle(len(rows))
        else:
            message.fail(verdict)
