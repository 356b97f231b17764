"""What the checks of a table change in its health, beside the appends."""

import pytest

from app.ingest.retry_policy import Trip, Unavailable
from app.ingest.sink_health import SinkHealth
from app.stores.sink import SetupError, SinkState, Stored
from testing.clock import FakeClock


@pytest.mark.parametrize("state", [SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED])
def test_the_trouble_of_a_check_is_no_pause(state: SinkState) -> None:
    """It is shown, and the next clean check clears it."""
    health = SinkHealth("records", FakeClock())
    assert health.found(SetupError(state, "of the check"), idle=True) is None
    assert (health.state, health.detail, health.pause()) == (state, "of the check", None)
    health.found(None, idle=False)
    assert health.state is SinkState.ACTIVE


def test_a_check_that_wrote_a_row_clears_everything() -> None:
    """It has done what an append does."""
    health = SinkHealth("records", FakeClock())
    health.trip(Trip(SinkState.PERMISSION_DENIED, "no", Unavailable("no", 30.0)))
    assert health.found(Stored(), idle=False) is None
    assert (health.state, health.pause()) == (SinkState.ACTIVE, None)


def test_two_clean_checks_without_traffic_clear_a_state_that_they_cannot_see() -> None:
    """Traffic between them, or another trouble, begins the count again."""
    health, states = SinkHealth("records", FakeClock()), list[SinkState]()
    for idle in (None, False, True, None, True, True):
        if idle is None:
            health.trouble(SinkState.PERMISSION_DENIED, "no")
        else:
            health.found(None, idle=idle)
        states.append(health.state)
    assert states == [*[SinkState.PERMISSION_DENIED] * 5, SinkState.ACTIVE]
