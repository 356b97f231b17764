"""Which traces are recorded, and what a traceparent says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import NoOpTracer

from app.telemetry.tracing import Parent, Tracing, parse_traceparent

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = Parent(TRACE_ID, SPAN_ID, sampled=True), Parent(TRACE_ID, SPAN_ID, sampled=False)


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


@given(ratio=st.floats(0, 1), draw=st.floats(0, 1, exclude_max=True))
def test_a_message_is_traced_as_its_publisher_decided_and_a_request_by_the_ratio(ratio: float, draw: float) -> None:
    """Where there was no decision, a message too: never at 0, always at 1. A request may be a stranger's."""
    tracing = Tracing(NoOpTracer(), ratio, lambda: draw)
    assert tracing.follows(SAMPLED)
    assert not tracing.follows(UNSAMPLED)
    assert tracing.follows(None) == (draw < ratio)
    sampled = [(b"traceparent", f"00-{TRACE_ID}-{SPAN_ID}-01".encode())]
    assert (tracing.request("GET", sampled) is not None) == (draw < ratio)
