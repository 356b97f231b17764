"""The spans: one per push, append, API request and query; created only if the trace is recorded.

That is decided before a span is created, which costs more.

    publisher ──> process (push) ──> append          the publisher's context comes as a message attribute
    caller    ──> GET /v1/records ──> query          the caller's, or the platform's, as a header

An append carries rows of many messages. Its span is the child of the first traced message and links to all of them; the
other messages link to it. Spans carry numbers, fixed words, and the ids of a message and its
subscription: never payloads, nor texts that a store or a library derived from payloads.
"""

import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags, Tracer

# The attribute names of spans are OpenTelemetry's where it defines one
# (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/, .../database/database-spans/,
# .../http/http-spans/).
ERROR_TYPE = "error.type"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_SUBSCRIPTION = "messaging.destination.subscription.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"
MESSAGING_BODY_SIZE = "messaging.message.body.size"

DB_SYSTEM = "db.system.name"
DB_COLLECTION = "db.collection.name"
DB_OPERATION = "db.operation.name"
DB_BATCH_SIZE = "db.operation.batch.size"
DB_ROWS = "db.response.returned_rows"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"

OUTCOME = "sluice.outcome"
APPEND_SIZE = "sluice.append.size"
PURPOSE = "sluice.query.purpose"
BYTES_PROCESSED = "sluice.query.bytes_processed"
CACHE = "sluice.cache"
REQUEST_KIND = "sluice.request.kind"

Headers = Iterable[tuple[bytes, bytes]]
_NANOSECONDS = 1_000  # in a microsecond


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


class Tracing:
    """Creates spans, or returns None if nothing is recorded. Without a `tracer`, nothing ever is.

    `ratio` is that of requests, and of messages without a publisher's decision; `draw` returns a number from 0 up to 1.
    A request may be a stranger's, so its own decision does not count.
    """

    def __init__(self, tracer: Tracer | None, ratio: float = 0.0, draw: Callable[[], float] = random.random) -> None:
        self._tracer, self._ratio, self._draw = tracer, ratio, draw

    def follows(self, parent: Parent | None) -> bool:
        """Return whether to trace the push of a message published under `parent`; if so, call `push`."""
        if self._tracer is None:
            return False
        return self._draw() < self._ratio if parent is None else parent.sampled

    def push(self, parent: Parent | None, headers: Headers, begun_us: int, attributes: Mapping[str, str | int]) -> Span:
        """Return the span of a push that arrived at `begun_us` (wall clock), a child of the message's publication.

        The HTTP request belongs to another trace, the platform's, which becomes a link.
        """
        platform = _header(headers)
        subscription = str(attributes[MESSAGING_SUBSCRIPTION] or "push").rpartition("/")[2]
        return self._spans().start_span(
            f"process {subscription}",
            context=_context(parent),
            kind=SpanKind.CONSUMER,
            attributes={
                **attributes,
                MESSAGING_SYSTEM: "gcp_pubsub",
                MESSAGING_OPERATION: "process",
                MESSAGING_OPERATION_TYPE: "process",
            },
            links=[Link(_span_context(platform))] if platform is not None else None,
            start_time=begun_us * _NANOSECONDS,
            record_exception=False,
        )

    def _spans(self) -> Tracer:
        if self._tracer is None:
            raise RuntimeError("nothing is traced")  # a caller that did not ask `follows` first
        return self._tracer

    def append(self, messages: Sequence[Span], attributes: Mapping[str, str | int]) -> Span | None:
        """Return the span of an append of rows of `messages`, the traced ones; None if there are none."""
        if self._tracer is None or not messages:
            return None
        first, *others = messages
        span = self._tracer.start_span(
            f"append {attributes[DB_COLLECTION]}",
            context=trace.set_span_in_context(first),
            kind=SpanKind.CLIENT,
            attributes={**attributes, DB_OPERATION: "append"},
            links=[Link(message.get_span_context()) for message in messages],
            record_exception=False,
        )
        for other in others:
            if other.is_recording():  # otherwise its message has been abandoned meanwhile
                other.add_link(span.get_span_context())
        return span

    def request(self, method: str, headers: Headers) -> Span | None:
        """Return the span of an API request; its parent is the caller's or the platform's span, if any."""
        if self._tracer is None or self._draw() >= self._ratio:
            return None
        return self._tracer.start_span(
            method,
            context=_context(_header(headers)),
            kind=SpanKind.SERVER,
            attributes={HTTP_METHOD: method},
            record_exception=False,
        )

    def query(self, attributes: Mapping[str, str | int]) -> Span | None:
        """Return the span of a query of the current request; None if the request is not traced."""
        if self._tracer is None or not trace.get_current_span().is_recording():
            return None
        return self._tracer.start_span(
            f"query {attributes[PURPOSE]}",
            kind=SpanKind.CLIENT,
            attributes={**attributes, DB_OPERATION: "SELECT"},
            record_exception=False,
        )


@contextmanager
def inside(span: Span) -> Iterator[None]:
    """Make `span` the current one within a block, so that log lines refer to it."""
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        context.detach(token)


def end_span(span: Span, attributes: Mapping[str, str | int], error_type: str | None = None) -> None:
    """End `span`; `error_type` names the error by one fixed word."""
    span.set_attributes(attributes)
    if error_type is not None:
        span.set_attribute(ERROR_TYPE, error_type)
        span.set_status(StatusCode.ERROR)
    span.end()


def current_span() -> Span | None:
    """Return the span of the current request; None if it is not recorded."""
    span = trace.get_current_span()
    return span if span.is_recording() else None


def trace_id_of(span: Span | None) -> str | None:
    """Return the trace id of a span in W3C format; None without a span."""
    return None if span is None else trace.format_trace_id(span.get_span_context().trace_id)


def _header(headers: Headers) -> Parent | None:
    value = next((value for name, value in headers if name == b"traceparent"), None)
    return None if value is None else parse_traceparent(value.decode("latin-1"))


def _span_context(parent: Parent) -> SpanContext:
    return SpanContext(
        int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=TraceFlags(int(parent.sampled))
    )


def _context(parent: Parent | None) -> Context:
    """Return the context for a span with a remote parent; without one, the context for the root of a trace."""
    span = trace.INVALID_SPAN if parent is None else trace.NonRecordingSpan(_span_context(parent))
    return trace.set_span_in_context(span, Context())
