"""Parse the trace context of a message or request, in W3C format. Pure.

https://www.w3.org/TR/trace-context/#traceparent-header
"""

import re

import msgspec

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class Parent(msgspec.Struct, frozen=True):
    """A remote parent span, and whether its trace is recorded there."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(text: str) -> Parent | None:
    """Parse a W3C traceparent; return None if it is not valid."""
    parts = _TRACEPARENT.fullmatch(text)
    return Parent(parts[1], parts[2], bool(int(parts[3], 16) & 1)) if parts else None
