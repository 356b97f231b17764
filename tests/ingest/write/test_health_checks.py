"""What the checks of a table change in its health, beside the appends."""

import asyncio

import pytest

from app.ingest.verdict import Unavailable
from app.ingest.write.health import DISK_AGAIN_S, LOOK_AGAIN_S, SinkHealth
from app.ingest.write.retry_policy import Trip
from app.stores.sink import ColumnsPending, SetupError, SinkState, Stored, TableCheck
from sluice.testing.clock import FakeClock
from tests.ingest.bench import Bench
from tests.ingest.scripted import turns

LACKING = ColumnsPending(frozenset({"x"}), "it lacks x")


@pytest.mark.parametrize("state", [SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED])
def test_the_trouble_of_a_check_is_no_pause(state: SinkState) -> None:
    """It is shown, and the next clean check clears it."""
    health = SinkHealth("records", FakeClock())
    assert health.record_check(SetupError(state, "of the check"), idle=True) is None
    assert health.is_checked
    assert (health.state, health.detail, health.pause()) == (state, "of the check", None)
    health.record_check(None, idle=False)
    assert health.state is SinkState.ACTIVE


def test_a_check_that_wrote_a_row_clears_everything() -> None:
    """It has done what an append does."""
    health = SinkHealth("records", FakeClock())
    health.trip(Trip(SinkState.PERMISSION_DENIED, "no", Unavailable("no", 30.0)))
    assert health.record_check(Stored(), idle=False) is None
    assert (health.state, health.pause()) == (SinkState.ACTIVE, None)


def test_two_clean_checks_without_traffic_clear_a_state_that_they_cannot_see() -> None:
    """Traffic between them, or another trouble, begins the count again."""
    health, states = SinkHealth("records", FakeClock()), list[SinkState]()
    for idle in (None, False, True, None, True, True):
        if idle is None:
            health.trouble(SinkState.PERMISSION_DENIED, "no")
        else:
            health.record_check(None, idle=idle)
        states.append(health.state)
    assert states == [*[SinkState.PERMISSION_DENIED] * 5, SinkState.ACTIVE]


def test_a_table_that_lacks_columns_is_known_at_once_and_whole_when_a_row_with_them_is_stored() -> None:
    """The state has the check's own words; a check that wrote a row has used every column."""
    health = SinkHealth("records", FakeClock())
    health.record_check(LACKING, idle=False)
    assert (health.state, health.detail) == (SinkState.COLUMNS_PENDING, "it lacks x")
    health.record_check(Stored(), idle=False)
    assert (health.state, health.detail) == (SinkState.ACTIVE, "")


async def test_after_a_pause_the_columns_that_lack_are_shown_again_and_pauses_begin_small() -> None:
    """A stored row ends the trouble that made the pause, not the lack: the next pause is a first one."""
    clock = FakeClock()
    health = SinkHealth("records", clock)
    health.record_check(LACKING, idle=False)
    health.trip(Trip(SinkState.QUOTA_EXHAUSTED, "rows", Unavailable("used up", 10.0)))
    await clock.advance(10)
    assert health.circuit.trips == 1
    health.stored()
    assert (health.state, health.detail, health.circuit.trips) == (SinkState.COLUMNS_PENDING, "it lacks x", 0)


@pytest.mark.parametrize("obstacle", [None, LACKING, Stored()])
def test_a_wrong_clock_shows_before_any_message_and_as_long_as_it_is_wrong(obstacle: TableCheck) -> None:
    """No clean check clears it; when the clock is right again, a row that is stored does."""
    clock = FakeClock()
    health = SinkHealth("records", clock)
    health.notice_clock()
    assert health.state is SinkState.ACTIVE, "nothing is wrong with it yet"
    clock.doubt = "it went back"
    for _ in range(2):
        health.record_check(obstacle, idle=True)
        assert (health.state, health.detail) == (SinkState.CLOCK_WRONG, "it went back")
    clock.doubt = ""
    health.stored()
    assert (health.state, health.detail) == (SinkState.ACTIVE, "")


def test_a_table_that_is_not_there_is_shown_before_a_wrong_clock() -> None:
    """The clock mends itself or goes with the instance; somebody has to make the table."""
    clock = FakeClock()
    health = SinkHealth("records", clock)
    clock.doubt = "it went back"
    health.record_check(SetupError(SinkState.NOT_FOUND, "no table"), idle=True)
    health.notice_clock()
    assert (health.state, health.detail) == (SinkState.NOT_FOUND, "no table")


@pytest.mark.parametrize(
    ("state", "again_s"), [(SinkState.DISK_FULL, DISK_AGAIN_S), (SinkState.NOT_FOUND, LOOK_AGAIN_S)]
)
async def test_a_full_disk_is_checked_again_sooner(state: SinkState, again_s: float) -> None:
    """Space may be freed at any moment, and asking for it costs next to nothing."""
    bench = Bench()
    bench.appender.obstacle = SetupError(state, "see the run-book")
    watching = asyncio.create_task(bench.writer.watch())
    await turns()
    bench.appender.obstacle = None
    await bench.clock.advance(again_s - 0.001)
    assert bench.state() is state
    await bench.clock.advance(0.001)
    assert bench.state() is SinkState.ACTIVE
    watching.cancel()
