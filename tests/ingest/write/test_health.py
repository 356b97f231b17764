"""How a table stands: states, pauses, and what a look at the table changes."""

import asyncio

import pytest

from app.ingest.verdict import Durable, Throttled, Unavailable
from app.ingest.write.health import LOOK_AGAIN_S, SinkHealth, StallWatchdog
from app.ingest.write.retry_policy import Trip
from app.stores.sink import ColumnsPending, QuotaExceeded, SetupError, SinkState, Stored, Uncertain
from sluice.testing.clock import FakeClock
from tests.ingest.bench import Bench
from tests.ingest.scripted import reply_later, turns

MISSING = SetupError(SinkState.NOT_FOUND, "no table")
AWAY = SetupError(SinkState.UNREACHABLE, "connection refused")


@pytest.mark.parametrize("state", [SinkState.NOT_FOUND, SinkState.SCHEMA_MISMATCH, SinkState.PERMISSION_DENIED])
async def test_what_stands_in_the_way_shows_before_the_first_message_and_goes_when_it_is_gone(
    bench: Bench, state: SinkState
) -> None:
    """The watch looks when the service starts, and every half minute while there is trouble."""
    bench.appender.obstacle = SetupError(state, "see the run-book")
    watching = asyncio.create_task(bench.writer.watch())
    await turns()
    assert (bench.state(), bench.writer.health.detail) == (state, "see the run-book")
    told = await bench.submit(b"a")
    assert isinstance(told, Unavailable)
    assert bench.appender.batches == [], "nothing is appended to a table that does not fit"
    bench.appender.obstacle = None
    await bench.clock.advance(LOOK_AGAIN_S)
    assert bench.state() is SinkState.ACTIVE
    assert isinstance(await bench.submit(b"b"), Durable)
    watching.cancel()


async def test_messages_that_wait_are_told_at_once_when_a_look_finds_an_obstacle() -> None:
    """Nobody waits for a table that is known not to be there; what is in flight keeps its own outcome."""
    answer = reply_later()
    bench = Bench(answer)
    first = bench.submit(b"a")
    await turns()
    second = bench.submit(b"b")
    await turns()
    bench.writer.record_check(MISSING)
    assert await second == Unavailable("the store is not ready to accept records: NOT_FOUND", 30.0)
    answer.set_result(Stored())
    assert isinstance(await first, Durable)


async def test_a_look_does_not_end_a_pause_it_knows_nothing_about() -> None:
    """A quota that is used up, or a permission to write, cannot be seen on the table."""
    bench = Bench(QuotaExceeded("rows"))
    await bench.submit(b"a")
    bench.writer.record_check(None)
    assert bench.state() is SinkState.QUOTA_EXHAUSTED
    bench = Bench(SetupError(SinkState.PERMISSION_DENIED, "may not write"))
    await bench.submit(b"a")
    bench.writer.record_check(None)
    assert bench.state() is SinkState.PERMISSION_DENIED


async def test_what_an_append_met_is_over_when_one_succeeds_or_nobody_tries_any_more() -> None:
    """A look that finds the table ends the pause; the state does not come and go at each look."""
    bench = Bench(MISSING, MISSING)
    await bench.submit(b"a")
    bench.writer.record_check(None)
    assert bench.writer.health.pause() is None
    assert bench.state() is SinkState.NOT_FOUND, "not before an append says so"
    assert isinstance(await bench.submit(b"b"), Unavailable), "a table may be there and not be found, for a while"
    bench.writer.record_check(None)
    assert isinstance(await bench.submit(b"c"), Durable)
    assert bench.state() is SinkState.ACTIVE
    bench = Bench(MISSING)
    await bench.submit(b"a")
    for _ in range(3):
        assert bench.state() is SinkState.NOT_FOUND
        bench.writer.record_check(None)
    assert bench.state() is SinkState.ACTIVE, "nobody has tried between two looks"


async def test_a_table_that_nobody_writes_to_does_not_stay_unreachable() -> None:
    """The rejects may see no append for weeks."""
    bench = Bench(Uncertain("gone"), Uncertain("gone"), reply_later())
    waiting = bench.submit(b"a", budget_s=1.0)
    await bench.clock.advance(0.9)
    bench.writer.record_check(None)
    assert bench.state() is SinkState.UNREACHABLE, "an append is under way"
    await bench.clock.advance(1)
    assert isinstance(await waiting, Unavailable)
    for _ in range(3):
        bench.writer.record_check(None)
        assert bench.state() is SinkState.UNREACHABLE, "nobody waits for it, and it is under way"
    await bench.clock.advance(25)
    bench.writer.record_check(None)
    bench.writer.record_check(None)
    assert bench.state() is SinkState.ACTIVE


async def test_a_check_that_fails_unexpectedly_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    """A defect is logged, and the next trouble is looked at again."""
    bench, calls = Bench(Uncertain("gone"), Uncertain("gone"), Uncertain("gone")), 0

    async def check() -> SetupError | None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        return None

    bench.appender.check = check  # type: ignore[method-assign] # the test's own
    watching = asyncio.create_task(bench.writer.watch())
    waiting = bench.submit(b"a")
    await turns()
    assert calls == 1
    assert caplog.messages[-1] == "the table could not be checked"
    await bench.clock.advance(LOOK_AGAIN_S + 1)
    assert calls == 2
    assert isinstance(await waiting, Durable)
    watching.cancel()


async def test_pauses_grow_and_the_time_left_is_told(bench: Bench) -> None:
    """The second look in a row that finds the same doubles the pause."""
    health = bench.writer.health
    for expected_s in (30.0, 60.0, 120.0):
        bench.writer.record_check(MISSING)
        bench.writer.record_check(MISSING)  # during a pause it changes nothing
        pause = health.pause()
        assert pause is not None
        assert pause.retry_after_s == expected_s
        await bench.clock.advance(expected_s)


async def test_a_table_that_lacks_columns_stays_so_until_a_check_finds_them() -> None:
    """Stored rows do not show that they came, other trouble comes and goes over it, and it is no pause."""
    health = SinkHealth("records", FakeClock())
    lacking = ColumnsPending(frozenset({"x"}), "it lacks x")
    assert health.record_check(lacking, idle=True) is None
    since_us = health.since_us
    for _ in range(2):
        health.stored()
        assert (health.state, health.detail, health.since_us) == (SinkState.COLUMNS_PENDING, "it lacks x", since_us)
        assert (health.pause(), health.troubled.is_set(), health.takes_rows) == (None, True, True)
    health.trouble(SinkState.UNREACHABLE, "gone")
    health.record_check(lacking, idle=False)
    assert health.state.value == "UNREACHABLE", "the table can be read, and appends are still without an answer"
    health.stored()
    assert health.state.value == "COLUMNS_PENDING"
    health.record_check(AWAY, idle=True)
    assert health.state.value == "COLUMNS_PENDING", "a check without an answer shows nothing"
    health.record_check(None, idle=False)
    assert (health.state, health.troubled.is_set()) == (SinkState.ACTIVE, False)


async def test_a_state_says_since_when_and_why(caplog: pytest.LogCaptureFixture) -> None:
    """The time is that of the first word of it; the log has a line for each change, and no more."""
    clock = FakeClock()
    health = SinkHealth("records", clock)
    assert (health.state, health.detail, health.troubled.is_set()) == (SinkState.ACTIVE, "", False)
    begun_us = health.since_us
    await clock.advance(5)
    health.trouble(SinkState.UNREACHABLE, "gone")
    since_us = health.since_us
    assert since_us - begun_us > 5_000_000
    await clock.advance(5)
    health.trouble(SinkState.UNREACHABLE, "still gone")
    assert (health.state, health.detail, health.since_us) == (SinkState.UNREACHABLE, "still gone", since_us)
    assert health.troubled.is_set()
    await clock.advance(5)
    health.recover()
    health.recover()
    assert (health.state, health.detail, health.troubled.is_set()) == (SinkState.ACTIVE, "", False)
    assert health.since_us - since_us > 10_000_000
    assert [record.getMessage() for record in caplog.records] == [
        "table records: UNREACHABLE: gone",
        "table records: ACTIVE, after UNREACHABLE",
    ]


@pytest.mark.parametrize(
    ("state", "is_trusted"),
    [
        (SinkState.NOT_FOUND, True),
        (SinkState.SCHEMA_MISMATCH, True),
        (SinkState.PERMISSION_DENIED, True),
        (SinkState.QUOTA_EXHAUSTED, False),
        (SinkState.UNREACHABLE, False),
    ],
)
def test_only_what_names_tables_and_columns_is_logged_as_it_is(
    state: SinkState, caplog: pytest.LogCaptureFixture, *, is_trusted: bool
) -> None:
    """Other details may quote what was sent, and are redacted."""
    SinkHealth("records", FakeClock()).trouble(state, "a detail")
    [record] = [each for each in caplog.records if each.name == "sluice.writer"]
    assert hasattr(record, "quotes_names") is is_trusted
    assert record.getMessage() == f"table records: {state.value}: a detail"


async def test_a_pause_ends_when_it_said() -> None:
    """To the microsecond; during it, another trouble changes nothing, and the next one makes a longer pause."""
    clock = FakeClock()
    health, verdict = SinkHealth("records", clock), Throttled("used up", 10.0)
    assert health.trip(Trip(SinkState.QUOTA_EXHAUSTED, "rows", verdict)) == verdict
    await clock.advance(9.999_999)
    assert health.pause() == Throttled("used up", 0.000_001)
    assert health.trip(Trip(SinkState.NOT_FOUND, "no table", verdict)) == Throttled("used up", 0.000_001)
    health.recover()
    assert health.state is SinkState.QUOTA_EXHAUSTED, "not during a pause"
    await clock.advance(0.000_001)
    assert health.pause() is None
    assert (health.state, health.circuit.trips) == (SinkState.QUOTA_EXHAUSTED, 1)
    health.recover()
    assert (health.state, health.circuit.trips) == (SinkState.ACTIVE, 0)


async def test_three_messages_refused_alone_are_the_table_if_nothing_is_stored_for_five_seconds() -> None:
    """At once if no other append could show the contrary; one that is stored ends it."""
    clock = FakeClock()
    health = SinkHealth("records", clock)
    assert not health.is_checked
    for key in "aabbc":
        assert not health.is_doubtful
        health.refused(key)
        await clock.advance(0.5)
    assert (health.is_doubtful, health.refuses_all(idle=True)) == (True, True)
    health.refused("d")
    await clock.advance(2.499_999)
    assert not health.refuses_all(idle=False), "five seconds since the first"
    await clock.advance(0.000_001)
    assert health.refuses_all(idle=False)
    health.stored()
    assert (health.is_doubtful, health.refuses_all(idle=True)) == (False, False)


@pytest.mark.parametrize(
    ("failures", "state"), [(1, SinkState.ACTIVE), (2, SinkState.UNREACHABLE), (3, SinkState.UNREACHABLE)]
)
def test_a_second_failure_in_a_row_counts(failures: int, state: SinkState) -> None:
    """A connection that ends is no news."""
    health = SinkHealth("records", FakeClock())
    health.uncertain("gone", failures)
    assert (health.state, health.detail) == (state, "" if state is SinkState.ACTIVE else "gone")


STUCK_S = 300.0


async def test_a_store_that_never_answers_an_append_makes_a_stuck_writer(bench: Bench) -> None:
    """Each message of a minute gives up by its own budget; a definite answer ends it."""
    bench.appender.decide = lambda _: Uncertain("connection refused")
    for _ in range(5):
        assert bench.writer.progress.stuck_s is None
        waiting = bench.submit(b"a")
        await bench.clock.advance(60)
        assert isinstance(await waiting, Unavailable)
    assert bench.writer.progress.stuck_s == pytest.approx(STUCK_S)
    bench.appender.decide = lambda _: QuotaExceeded("rows")
    assert isinstance(await bench.submit(b"a"), Throttled)
    assert bench.writer.progress.stuck_s is None


async def test_a_silence_is_no_outage() -> None:
    """After a message that failed nothing comes for an hour, and then another one."""
    clock = FakeClock()
    progress = StallWatchdog(clock.elapsed_us, STUCK_S)
    for answered in (False, True, False):
        progress.begin(clock.elapsed_us())
        await clock.advance(STUCK_S - 1)
        assert progress.stuck_s is None
        if answered:
            progress.answered()
        progress.end()
        await clock.advance(STUCK_S / 2 + 1)
        assert progress.stuck_s is None
    progress.begin(clock.elapsed_us())
    await clock.advance(STUCK_S)
    assert progress.stuck_s == STUCK_S


async def test_a_gap_of_half_the_limit_between_two_waits_does_not_end_a_stall() -> None:
    """A longer one does; and as long as one message waits there is no gap."""
    clock = FakeClock()
    progress = StallWatchdog(clock.elapsed_us, STUCK_S)
    for _ in range(2):
        progress.begin(clock.elapsed_us())
    progress.end()
    await clock.advance(STUCK_S)
    assert progress.stuck_s == STUCK_S
    progress.end()
    await clock.advance(STUCK_S / 2)
    assert progress.stuck_s == STUCK_S * 1.5
    await clock.advance(0.000_001)
    assert progress.stuck_s is None
