"""Which traces are recorded, and what a traceparent says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.sampling import Parent, Sampler, parse_traceparent

HEX = "0123456789abcdef"
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = Parent(TRACE_ID, SPAN_ID, sampled=True), Parent(TRACE_ID, SPAN_ID, sampled=False)
MICROSECONDS = 1_000_000


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.us = 0

    def elapsed_us(self) -> int:
        """Return where it stands."""
        return self.us


def sampler(ratio: float = 0.0, max_per_s: float = 1e9, draw: float = 0.5) -> Sampler:
    """Return a sampler whose dice show `draw`."""
    return Sampler(ratio, max_per_s, Time().elapsed_us, lambda: draw)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"00-{TRACE_ID}-{SPAN_ID}-00", UNSAMPLED),
        (f"00-{TRACE_ID}-{SPAN_ID}-03", SAMPLED),  # other flags are for later versions
        (f"00-{'0' * 32}-{SPAN_ID}-01", None),
        (f"01-{TRACE_ID}-{SPAN_ID}-01", None),
        (f"00-{TRACE_ID.upper()}-{SPAN_ID}-01", None),
        (f"00-{TRACE_ID}-{SPAN_ID}-01\n", None),
        (f"00-{TRACE_ID}-{SPAN_ID}-01-more", None),
    ],
)
def test_a_traceparent_is_read_as_w3c_defines_it(text: str, expected: Parent | None) -> None:
    """Anything else is no traceparent."""
    assert parse_traceparent(text) == expected


@given(st.text(HEX, min_size=32, max_size=32), st.text(HEX, min_size=16, max_size=16), st.integers(0, 255))
def test_every_traceparent_is_read(trace_id: str, span_id: str, flags: int) -> None:
    """But for ids that are all zeros; the lowest flag says whether it is recorded."""
    found = parse_traceparent(f"00-{trace_id}-{span_id}-{flags:02x}")
    if set(trace_id) == {"0"} or set(span_id) == {"0"}:
        assert found is None
    else:
        assert found == Parent(trace_id, span_id, sampled=bool(flags % 2))


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    """It comes from whoever publishes."""
    found = parse_traceparent(text)
    assert found is None or text == f"00-{found.trace_id}-{found.span_id}-{text[-2:]}"


@given(ratio=st.floats(0, 1), draw=st.floats(0, 1, exclude_max=True))
def test_a_message_is_traced_as_its_publisher_decided(ratio: float, draw: float) -> None:
    """Where there was no decision, by the ratio: never at 0, always at 1."""
    assert sampler(ratio, draw=draw).follows(SAMPLED)
    assert not sampler(ratio, draw=draw).follows(UNSAMPLED)
    assert sampler(ratio, draw=draw).follows(None) == (draw < ratio)


@given(ratio=st.floats(0, 1), draw=st.floats(0, 1, exclude_max=True))
def test_a_request_is_traced_where_its_callers_is_or_by_the_ratio(ratio: float, draw: float) -> None:
    """That the platform did not record it decides nothing."""
    assert sampler(ratio, draw=draw).picks(SAMPLED)
    assert sampler(ratio, draw=draw).picks(UNSAMPLED) == sampler(ratio, draw=draw).picks(None) == (draw < ratio)


@given(
    max_per_s=st.floats(0.1, 50),
    waits_us=st.lists(st.integers(0, 2 * MICROSECONDS), min_size=1, max_size=200),
)
def test_never_more_than_so_many_a_second(max_per_s: float, waits_us: list[int]) -> None:
    """In any stretch of time no more than its share and one second's reserve, and that much is never refused."""
    clock = Time()
    asked = Sampler(0.0, max_per_s, clock.elapsed_us)
    taken_us = []
    for wait_us in waits_us:
        clock.us += wait_us
        if asked.follows(SAMPLED):
            taken_us.append(clock.us)
    reserve = max(max_per_s, 1.0)
    for first, begun_us in enumerate(taken_us):
        for last in range(first, len(taken_us)):
            seconds = (taken_us[last] - begun_us) / MICROSECONDS
            assert last - first + 1 <= reserve + seconds * max_per_s + 1e-6
    assert len(taken_us) >= min(len(waits_us), int(reserve))


def test_what_is_not_wanted_takes_no_room() -> None:
    """A flood of untraced messages leaves the place to a traced one."""
    asked = sampler(max_per_s=1.0)
    assert not any(asked.follows(UNSAMPLED) for _ in range(1_000))
    assert asked.follows(SAMPLED)
    assert not asked.follows(SAMPLED)


def test_requests_take_no_room_from_messages() -> None:
    """Requests come from anybody, before a token is looked at; a message that is sampled has shown one."""
    flooded = sampler(max_per_s=3)
    assert [flooded.picks(SAMPLED) for _ in range(5)] == [True] * 3 + [False] * 2
    assert [flooded.follows(SAMPLED) for _ in range(5)] == [True] * 3 + [False] * 2
