"""The promises of the write side, for any order of arrivals, outcomes, failures and time: a model beside the writer.

The sink stores, refuses with or without names, fails, hangs, and loses or delays acknowledgements as the rules say. A
table that breaks is mended before it breaks again: a message refused by both would pass for a bad one.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.ingest.verdict import Durable, Throttled, Unavailable, Verdict
from app.ingest.write.retry_policy import Trip
from app.ingest.write.table_writer import TableWriter
from app.runtime.clock import MICROSECONDS
from app.settings.load import Settings
from app.stores.sink import (
    LatenessLimits,
    Outcome,
    QuotaExceeded,
    RowEncode,
    RowError,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
    late_key,
    without_lateness,
)
from sluice.testing.clock import FakeClock, settled
from tests.long_form import examples
from tests.support.unwatched import environment_of

BUDGET_S = 30.0
SETTINGS = Settings().replace(max_batch_rows=4, max_batch_bytes=1_000)
BROKEN = SetupError(SinkState.SCHEMA_MISMATCH, "a column is missing")
KINDS = ("good", "good", "good", "named", "unnamed", "large", "held")
FAULTS = ("lost", "unsent", "late", "late and lost", "hang", "quota", "missing", "defect")


class Sink:
    """The table: what it holds, in order, and the faults of the next appends."""

    lateness_limits = LatenessLimits(stored_us=28_000_000, uncertain_us=18_000_000, margin_us=10_000_000)

    def __init__(self, in_flight: int) -> None:
        self.max_in_flight = self.target_in_flight = in_flight
        self.rows: list[str] = []
        self.late: list[str] = []
        """Rows that readers may have passed."""
        self.faults: list[str] = []
        self.is_broken = self.has_column = False
        self.in_flight = 0

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        raise NotImplementedError

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        keys, fault = [row.decode() for row in rows], self.faults.pop(0) if self.faults else ""
        await asyncio.sleep(0)
        if fault in {"", "lost", "late", "late and lost"}:
            refusal = self._refusal(keys)
            if refusal is not None:
                return refusal
            self.rows += keys
        late = fault.startswith("late")
        self.late += keys if late else []
        match fault:
            case "hang":
                await asyncio.get_running_loop().create_future()
            case "quota":
                return QuotaExceeded("rows")
            case "missing":
                return SetupError(SinkState.NOT_FOUND, "no table")
            case "defect":
                raise ZeroDivisionError
        return Stored(late) if fault in {"", "late"} else Uncertain(fault, late)

    def _refusal(self, keys: list[str]) -> Outcome | None:
        found = {kind: [n for n, key in enumerate(keys) if key.startswith(kind)] for kind in KINDS}
        if self.is_broken:
            return RowsRefused({}, "broken")
        if found["held"] and not self.has_column:
            return RowsHeld(frozenset(found["held"]), "it lacks a column")
        if found["large"]:
            return TooLarge("large")
        if found["named"]:
            return RowsRefused({found["named"][0]: RowError("bad")})
        return RowsRefused({}, "invalid") if found["unnamed"] else None

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        return late_key(row.decode(), lateness).encode()

    async def check(self) -> SetupError | None:
        return BROKEN if self.is_broken else None

    async def close(self) -> None:
        raise NotImplementedError


class Sent(msgspec.Struct, eq=False):
    """A message: its rows, its open delivery, the rows that were rejected, and whether it was acknowledged."""

    rows: tuple[str, ...]
    waiter: "asyncio.Task[Verdict]"
    due_us: int
    rejected: set[str] = msgspec.field(default_factory=set)
    durable: bool = False


class Writing(RuleBasedStateMachine):
    """A TableWriter under a fake clock, its senders, and what they were promised."""

    @initialize(in_flight=st.sampled_from([1, 1, 3]))
    def begin(self, in_flight: int) -> None:
        self.loop, self.clock, self.sink = asyncio.new_event_loop(), FakeClock(), Sink(in_flight)
        self.run(self.open())
        self.messages: list[Sent] = []
        self.rejects_take = True
        self.has_broken = False

    async def open(self) -> None:
        environment = environment_of(self.clock, SETTINGS)
        self.writer = TableWriter(self.sink, environment, table="t", jitter=lambda: 1.0)
        begin_pause, self.trips = self.writer.health.trip, list[SinkState]()

        def noted(trip: Trip) -> Unavailable | Throttled:
            if "even alone" in trip.detail:
                self.trips.append(trip.state)
                assert self.writer.health.refuses_all(idle=True), "blamed without refusals"
            return begin_pause(trip)

        self.writer.health.trip = noted  # type: ignore[method-assign] # the trips are part of what is checked

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    def deliver(self, rows: tuple[str, ...], message: Sent | None = None) -> Sent:
        due_us = self.clock.elapsed_us() + round(BUDGET_S * MICROSECONDS)

        async def reject(refused: Mapping[int, RowError]) -> Verdict:
            await asyncio.sleep(0)
            if not self.rejects_take:
                return Unavailable("the rejects are down", 1.0)
            sent.rejected |= {rows[position] for position in refused}
            return Durable()

        work = self.writer.submit([row.encode() for row in rows], due_us, reject, key=rows[0])
        waiter = self.loop.create_task(work)
        sent = message or Sent(rows, waiter, due_us)
        sent.waiter, sent.due_us = waiter, due_us
        return sent

    @rule(kinds=st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=6), min_size=1, max_size=5))
    def send(self, kinds: list[list[str]]) -> None:
        for message in kinds:
            number = len(self.messages)
            self.messages.append(self.deliver(tuple(f"{kind}-{number}-{n}" for n, kind in enumerate(message))))
        self.run(settled())

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=4))
    def fail(self, faults: list[str]) -> None:
        self.sink.faults += faults

    @precondition(lambda self: not self.has_broken)
    @rule()
    def break_table(self) -> None:
        self.sink.is_broken = self.has_broken = True

    @rule()
    def mend_table(self) -> None:
        self.sink.is_broken = False

    @rule()
    def toggle_column(self) -> None:
        self.sink.has_column = not self.sink.has_column

    @rule()
    def toggle_rejects(self) -> None:
        self.rejects_take = not self.rejects_take

    @rule(seconds=st.sampled_from([0.05, 1.0, 10.5, 31.0]))
    def wait(self, seconds: float) -> None:
        self.run(self.clock.advance(seconds))

    @rule()
    def redeliver(self) -> None:
        for message in self.messages:
            if message.waiter.done() and not message.durable:
                self.deliver(message.rows, message)
        self.run(settled())

    @rule(obstacle=st.sampled_from([None, None, SetupError(SinkState.NOT_FOUND, "no table")]))
    def check(self, obstacle: SetupError | None) -> None:
        self.writer.record_check(BROKEN if self.sink.is_broken else obstacle)

    @invariant()
    def promises_hold(self) -> None:
        stored, now_us = set(self.sink.rows), self.clock.elapsed_us()
        for message in self.messages:
            kinds = {row.partition("-")[0] for row in message.rows}
            if message.waiter.done() and isinstance(message.waiter.result(), Durable):
                message.durable = True
            assert message.waiter.done() or now_us < message.due_us + 50_000, "it waits beyond its deadline"
            if message.durable:
                lost = [row for row in message.rows if row not in stored and row not in message.rejected]
                assert not any(late_key(row, 1) not in stored for row in lost), f"acknowledged, and not durable: {lost}"
            if not kinds & {"named", "unnamed", "large"}:
                assert not message.rejected, "a good message was rejected"
            if "unnamed" not in kinds and message.rejected:
                bad = [row for row in message.rejected if row.startswith(("named", "large"))]
                assert len(bad) == len(message.rejected), "a good row was rejected for a named one"
        assert not self.trips or self.has_broken or self.any_unnamed(3), "a table was blamed for less than three"

    def any_unnamed(self, count: int) -> bool:
        return sum(any(row.startswith("unnamed") for row in message.rows) for message in self.messages) >= count

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            try:
                self.end()
            finally:
                self.run(self.writer.close())
                self.loop.close()

    def end(self) -> None:
        """Mend everything: every message ends, and every late row is stored once more under a key of its own."""
        self.sink.faults, self.sink.is_broken, self.sink.has_column, self.rejects_take = [], False, True, True
        for _ in range(40):
            self.redeliver()
            self.send([["good"]])
            self.wait(31.0)
            self.promises_hold()
            if all(message.durable for message in self.messages):
                break
        assert all(message.durable for message in self.messages), "a message never ends"
        self.run(self.clock.advance(400))
        stored = Counter(self.sink.rows)
        for row in self.sink.late:
            plain, lateness = without_lateness(row), int(row.rpartition("~late")[2]) if "~late" in row else 0
            rejected = any(plain in message.rejected for message in self.messages)
            assert rejected or stored[late_key(plain, lateness + 1)], f"{row} was late, and is not seen again"
        assert not [
            row
            for row in stored
            if "~late" in row and without_lateness(row) not in map(without_lateness, self.sink.late)
        ]
        self.writer.record_check(None)
        assert self.writer.health.state is SinkState.ACTIVE
        assert (self.writer.waiting, self.writer._open_bytes, len(self.writer._deadlines)) == (0, 0, 0)


Writing.TestCase.settings = settings(max_examples=examples(400), stateful_step_count=30, deadline=None)
TestWriting = Writing.TestCase
