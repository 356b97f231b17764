"""A span as Cloud Trace was sent it, in plain values."""

from typing import Any

import msgspec

_RENAMED = {
    "/http/route": "http.route"
}  # the exporter's, for attributes that Cloud Trace shows in a place of their own


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One span; ids are hexadecimal, `links` are (trace id, span id), `status` is None where nothing failed."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    attributes: dict[str, str | int | bool]
    links: list[tuple[str, str]]
    status: int | None
    begun_us: int
    took_us: int
    events: int


def seen(span: Any) -> Seen:
    """Return what a span of `google.devtools.cloudtrace.v2` says."""
    _, project, _, trace_id, _, span_id = span.name.split("/")
    assert (project, span_id) == ("p", span.span_id)
    raw = type(span).pb(span)
    begun_us = raw.start_time.ToMicroseconds()
    return Seen(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=span.parent_span_id,
        name=span.display_name.value,
        kind=span.span_kind.name,
        attributes={_RENAMED.get(name, name): _value(value) for name, value in raw.attributes.attribute_map.items()},
        links=[(link.trace_id, link.span_id) for link in raw.links.link],
        status=raw.status.code if raw.HasField("status") else None,
        begun_us=begun_us,
        took_us=raw.end_time.ToMicroseconds() - begun_us,
        events=len(raw.time_events.time_event),
    )


def _value(value: Any) -> str | int | bool:
    kind = value.WhichOneof("value")
    found: str | int | bool = value.string_value.value if kind == "string_value" else getattr(value, kind)
    return found
