"""The circuit breaker against a model of its states, and the back-off of its callers."""

from hypothesis import given
from hypothesis import strategies as st

from app.runtime.circuit_breaker import CircuitBreaker, CircuitState
from sluice.testing.clock import FakeClock

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
_STEPS = st.lists(
    st.tuples(st.sampled_from(["trip", "wait"]), st.integers(1, 4))
    | st.tuples(st.sampled_from(["allows", "half_open", "close"]), st.just(0)),
    max_size=40,
)


@given(_STEPS)
async def test_a_circuit_is_as_its_last_events_say(steps: list[tuple[str, int]]) -> None:
    """In whole seconds: which state it is in, how long it stays open, and how often it tripped since it was closed."""
    clock = FakeClock()
    circuit = CircuitBreaker(clock.elapsed_us)
    state, left_s, pause_s, trips = CLOSED, 0, 0, 0
    for step, seconds in steps:
        match step:
            case "trip":
                circuit.trip(seconds)
                if state is not OPEN:
                    state, left_s, pause_s, trips = OPEN, seconds, seconds, trips + 1
            case "allows":
                assert circuit.allows() is (state is not OPEN)
                if state is HALF_OPEN:  # the probe is on its way
                    state, left_s = OPEN, pause_s
            case "half_open":
                circuit.half_open()
                state, left_s = (CLOSED if state is CLOSED else HALF_OPEN), 0
            case "close":
                circuit.close()
                state, left_s, trips = CLOSED, 0, 0
            case _:
                await clock.advance(seconds)
                left_s = max(left_s - seconds, 0)
                if state is OPEN and not left_s:
                    state = HALF_OPEN
        assert (circuit.state, circuit.remaining_s, circuit.trips) == (state, left_s, trips)
