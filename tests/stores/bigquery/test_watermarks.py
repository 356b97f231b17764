"""Watermarks: no reader passes a row that becomes visible later, and each rule is needed for that."""

import asyncio
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ingest.verdict import Durable
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import from_epoch_us
from app.settings.load import Settings
from app.stores.bigquery import watermarks
from app.stores.bigquery.announcing import Announcing
from app.stores.bigquery.horizons import Horizons
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from app.stores.bigquery.watermarks import Announcer, Limits, Mark, State, horizon_us, instances_table
from app.stores.sink import (
    Outcome,
    QuotaExceeded,
    RowEncode,
    RowsHeld,
    RowsRefused,
    SetupError,
    SinkState,
    Stored,
    TooLarge,
    Uncertain,
)
from app.stores.source import Answer, StoreBusyError
from app.stores.sql.statement import Statement
from app.stores.stamping import ClockTroubleError
from sluice.testing.clock import FakeClock
from sluice.testing.misbehaving.faults import Fault, Silence, in_turn
from sluice.testing.misbehaving.waiting import advance_until
from tests.contract.stores import T0_US
from tests.long_form import examples
from tests.stores.bigquery.rig import Rig

LIMITS = Limits(
    append_deadline_us=10_000, margin_us=10_000, skew_us=2_000, settle_us=30_000, silent_us=12_000, lease_us=20_000
)
NOW = 1_000_000
Event = tuple[int, int, Callable[[], None]]


def mark(age: int, behind: int, state: State = State.LIVE, instance: str = "a") -> Mark:
    """Return a mark of this age that reaches up to `behind` before now."""
    return Mark(instance, state, NOW - behind, NOW - age)


@pytest.mark.parametrize(
    ("marks", "behind"),
    [
        ([], 30_000),
        ([mark(1_000, 1_500)], 1_500),
        ([mark(1_000, 1_500), mark(500, 4_000, instance="b")], 4_000),
        ([mark(3_000, 9_000), mark(1_000, 1_500)], 1_500),
        ([mark(1_000, 1_500), mark(3_000, 9_000)], 1_500),
        ([mark(12_000, 13_000)], 13_000),
        ([mark(12_001, 13_000)], 13_000),
        ([mark(44_000, 44_000)], 30_000),
        ([mark(44_001, 44_001)], 0),
        ([mark(1_000, 1_500), mark(500, 500, State.BYE)], 0),
        ([mark(-2_000, -2_000)], 0),
    ],
)
def test_the_horizon_is_the_least_bound_of_the_instances_there(marks: list[Mark], behind: int) -> None:
    """A table of decisions; the reader's own time bounds them all."""
    assert horizon_us(marks, NOW, LIMITS) == NOW - behind


class Instance(Announcer):
    """An instance with a clock of its own, and a process that may have ended."""

    def __init__(self, name: str, offset: int) -> None:
        super().__init__(name, LIMITS)
        self.offset = offset
        self.is_alive, self.is_leaving, self.cannot_mark = True, False, False
        self.waiting: set[int] = set()


class World:
    """A scripted store: what is visible when, and the greatest horizon that a reader has had."""

    def __init__(self, rng: random.Random, instance: type[Instance]) -> None:
        self.rng, self.instance, self.now, self.number = rng, instance, 100_000, 0
        self.events: list[Event] = []
        self.marks: list[Mark] = []
        self.instances: list[Instance] = []
        self.passed_us = self.rows = 0

    def later(self, delay: int, call: Callable[[], None]) -> None:
        self.number += 1
        self.events.append((self.now + delay, self.number, call))

    def write(self, one: Instance, mark: Mark) -> None:
        """A mark becomes visible, and is acknowledged at once, or later, or never."""

        def visible() -> None:
            self.marks.append(mark)
            if mark.state is State.LIVE and self.rng.random() < 0.9:
                self.later(self.rng.randint(0, 1_000), acknowledged)

        def acknowledged() -> None:
            if one.is_alive:
                one.stored(mark, self.now + one.offset)

        self.later(self.rng.randint(0, 3_000), visible)

    def send(self, one: Instance) -> None:
        """An append is answered, or given up and visible late or never, or refused."""
        stamp = one.stamp_us(self.now + one.offset)
        if stamp is None:
            return
        self.number += 1
        attempt, fate = self.number, self.rng.random()
        one.sent(attempt, stamp)
        one.waiting.add(attempt)

        def visible() -> None:
            self.rows += 1
            assert stamp >= self.passed_us, f"a row of {stamp} became visible after a horizon of {self.passed_us}"

        def answered() -> None:
            if one.is_alive and attempt in one.waiting:
                one.waiting.discard(attempt)
                one.answered(attempt)

        def abandoned() -> None:
            if one.is_alive and attempt in one.waiting:
                one.waiting.discard(attempt)
                one.abandoned(attempt, self.now + one.offset)

        took = self.rng.randint(0, 9_000)
        if fate < 0.8:
            self.later(took, visible)
            self.later(took, answered)
        elif fate < 0.95:
            self.later(took, abandoned)
            if fate < 0.92:
                self.later(self.rng.randint(took, took + 10_000), visible)
        else:
            self.later(took, answered)

    def act(self, one: Instance) -> None:
        chance, local = self.rng.random(), self.now + one.offset
        if chance < 0.01:
            one.is_alive = False
        elif chance < 0.02:
            one.cannot_mark = not one.cannot_mark
        elif chance < 0.04:
            one.is_leaving = True
        if one.is_alive and one.is_leaving:
            last = one.bye(local)
            if last is not None:
                self.write(one, last)
                one.is_alive = False
                return
        elif one.is_alive and self.rng.random() < 0.6:
            self.send(one)
        if one.is_alive and not one.cannot_mark and self.rng.random() < 0.9:
            self.write(one, one.mark(local))

    def step(self) -> None:
        self.now += 1_000
        while due := [event for event in self.events if event[0] <= self.now]:
            first = min(due, key=lambda event: event[:2])
            self.events.remove(first)
            first[2]()
        living = [one for one in self.instances if one.is_alive]
        if len(living) < 3 and self.rng.random() < 0.15:
            self.instances.append(self.instance(str(len(self.instances)), self.rng.randint(-2_000, 2_000)))
        for one in living:
            self.act(one)
        asked = self.now + self.rng.randint(-2_000, 2_000)
        self.passed_us = max(self.passed_us, watermarks.horizon_us(self.marks, asked, LIMITS))


def run(rng: random.Random, instance: type[Instance] = Instance) -> World:
    """Return a world after 160 seconds."""
    world = World(rng, instance)
    for _ in range(160):
        world.step()
    return world


@given(st.integers(0, 2**32))
@settings(max_examples=examples(400))
def test_no_reader_passes_a_row_that_becomes_visible_later(seed: int) -> None:
    """Whatever crashes, falls silent, is given up, commits late or has a wrong clock."""
    run(random.Random(seed))


def test_an_instance_does_not_leave_while_a_stamp_ahead_of_its_clock_is_in_doubt() -> None:
    """After joining, stamps lie ahead of the clock, so a doubtful one need not hold the mark back."""
    one = Announcer("a", LIMITS)
    one.stored(one.mark(NOW), NOW)
    stamp = one.stamp_us(NOW)
    assert stamp == NOW + 4_000
    one.sent(1, stamp)
    one.abandoned(1, NOW + 1_000)
    assert one.mark(NOW + 4_000).through_us == NOW + 4_000
    assert one.bye(NOW + 4_000) is None
    assert one.bye(NOW + 24_000) is None
    assert one.bye(NOW + 24_001) == Mark("a", State.BYE, NOW + 24_001, NOW + 24_001)


def test_a_clock_that_is_set_back_stamps_nothing_that_was_announced() -> None:
    """Nor far ahead of the clock: the rows would only be seen when it has caught up."""
    one = Announcer("a", LIMITS)
    one.stored(one.mark(NOW), NOW)
    assert one.mark(NOW + 10_000).through_us == NOW + 10_000
    assert one.stamp_us(NOW + 7_000) == NOW + 10_000
    assert one.stamp_us(NOW + 7_000) == NOW + 10_001
    assert one.stamp_us(NOW + 6_000) is None
    assert not one.may_stamp(NOW + 6_000)
    assert one.stamp_us(NOW + 10_500) == NOW + 10_500


def test_after_its_last_mark_an_instance_stamps_nothing() -> None:
    """Not even while the mark before it is young."""
    one = Announcer("a", LIMITS)
    one.stored(one.mark(NOW), NOW)
    assert one.bye(NOW + 5_000) == Mark("a", State.BYE, NOW + 5_000, NOW + 5_000)
    assert one.stamp_us(NOW + 5_000) is None


class WithoutJoin(Instance):
    """Stamps from its own time on."""

    def stamp_us(self, now_us: int) -> int | None:
        return None if super().stamp_us(now_us) is None else now_us


class WithoutDoubt(Instance):
    """Takes an append without an answer for one that was refused."""

    def abandoned(self, attempt: Hashable, now_us: int) -> None:
        self.answered(attempt)


class WithoutLease(Instance):
    """Goes on while none of its marks is stored."""

    def _is_leased(self, now_us: int) -> bool:
        return self._leased_us is not None


class WithoutLeave(Instance):
    """Says goodbye with rows in doubt."""

    def bye(self, now_us: int) -> Mark | None:
        return Mark(self._instance, State.BYE, now_us, now_us)


def is_found(instance: type[Instance]) -> bool:
    """Return whether a reader passes a row in one of 400 worlds."""
    for seed in range(400):
        try:
            run(random.Random(seed), instance)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("instance", [WithoutJoin, WithoutDoubt, WithoutLease, WithoutLeave])
def test_each_rule_of_writers_is_needed(instance: type[Instance]) -> None:
    """The worlds find the writer that leaves one out."""
    assert is_found(instance)


def test_the_rule_of_silence_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worlds find the reader that forgets an instance as soon as it is silent."""
    honest = watermarks.horizon_us

    def forgetful(marks: list[Mark], asked_us: int, limits: Limits) -> int:
        latest = {each.instance: each for each in sorted(marks, key=lambda each: each.written_us)}
        heard = [each for each in latest.values() if asked_us - each.written_us <= limits.silent_us]
        return honest(heard, asked_us, limits)

    monkeypatch.setattr(watermarks, "horizon_us", forgetful)
    assert is_found(Instance)


class Marks:
    """Stands for the appender of the table of marks, which stores each, or meets `trouble`."""

    trouble: SetupError | None = None

    def __init__(self) -> None:
        self._rows, self.stored = ProtoRowEncoder(instances_table()), list[Any]()

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        return self._rows.encoder(envelope)

    async def append(self, rows: Sequence[bytes]) -> Outcome:
        if self.trouble is None:
            self.stored += map(self._rows.message.FromString, rows)
        return self.trouble or Stored()


def announcing_by(marks: Marks, clock: FakeClock) -> Announcing:
    """Return what announces an instance through `marks`."""
    appender: Any = marks
    return Announcing("a", Limits.of(Settings().store), clock, appender)


@pytest.mark.parametrize(
    ("outcome", "leaves"),
    [
        (Stored(), True),
        (RowsRefused({}), True),
        (RowsHeld(frozenset({0}), ""), True),
        (TooLarge(""), True),
        (Uncertain(""), False),
        (QuotaExceeded(""), False),
        (SetupError(SinkState.UNREACHABLE, ""), False),
        (None, False),
    ],
)
async def test_an_instance_says_goodbye_unless_an_attempt_ended_in_doubt(
    outcome: Outcome | None, *, leaves: bool
) -> None:
    """Only what names the rows or the columns says that nothing will be stored later."""
    marks, attempt = Marks(), object()
    announcing = announcing_by(marks, FakeClock(T0_US))
    assert await announcing.obstacle() is None
    announcing.stamp(attempt)
    announcing.ended(attempt, outcome)
    await announcing.close()
    assert marks.stored[-1].state == ("bye" if leaves else "live")


async def test_an_append_that_is_given_up_holds_the_mark_back_for_the_margin(rig: Rig) -> None:
    """Over real sockets: its rows may still be stored; an answered one holds nothing back."""
    marks = Marks()
    rig.appender._announcing = announcing = announcing_by(marks, rig.clock)
    rig.server.decide = in_turn(Fault(), Fault(stores=False, answer=Silence()))
    assert await rig.told_later(rig.send("a")) == [Durable()]
    await advance_until(rig.clock, lambda: marks.stored[-1].through == marks.stored[-1].written)
    message = await rig.sent("b")
    sent_us = rig.clock.now_us()
    assert await rig.told_later(message) == [Durable()]
    margin_us = round(Settings().store.late_commit_margin_s * MICROSECONDS)
    await advance_until(rig.clock, lambda: marks.stored[-1].written > sent_us + margin_us)
    assert marks.stored[-1].through <= sent_us + 4 * MICROSECONDS
    await advance_until(rig.clock, lambda: marks.stored[-1].through == marks.stored[-1].written)
    await announcing.close()
    assert marks.stored[-1].state == "bye"


async def test_nothing_is_stamped_while_no_mark_is_stored() -> None:
    """The obstacle is the table's; marks are tried again, and then stamps are given."""
    marks, clock = Marks(), FakeClock(T0_US)
    marks.trouble = SetupError(SinkState.NOT_FOUND, "there is no table _instances")
    announcing = announcing_by(marks, clock)
    asking = asyncio.create_task(announcing.obstacle())
    await advance_until(clock, asking.done)
    assert asking.result() == marks.trouble
    with pytest.raises(ClockTroubleError, match="there is no table _instances"):
        announcing.stamp(object())
    marks.trouble = None
    await clock.advance(5)
    assert await announcing.obstacle() is None
    await announcing.close()


@pytest.mark.parametrize("state", ["", "of a newer release"])
async def test_a_reader_whose_marks_cannot_be_read_waits_for_the_settle_time(state: str) -> None:
    """It asks once a poll; the horizon does not go back."""
    clock, asked = FakeClock(T0_US), list[Statement]()
    known = {"instance": "a", "state": "live", "through": from_epoch_us(T0_US - 1), "written": from_epoch_us(T0_US)}

    async def read(statement: Statement) -> Answer:
        asked.append(statement)
        if len(asked) == 1:
            return Answer([known], 7)
        if state:
            return Answer([known | {"state": state}], 7)
        raise StoreBusyError("busy")

    horizons = Horizons(Settings(), clock, read)
    assert horizons.horizon_us() < T0_US - 29 * MICROSECONDS
    assert (await horizons.learn(), await horizons.learn(), len(asked)) == (7, 0, 1)
    assert horizons.horizon_us() == T0_US - 1
    await clock.advance(10)
    assert (await horizons.learn(), len(asked), horizons.horizon_us()) == (0, 2, T0_US - 1)
    await clock.advance(60)
    assert T0_US + 40 * MICROSECONDS <= horizons.horizon_us() < T0_US + 41 * MICROSECONDS
