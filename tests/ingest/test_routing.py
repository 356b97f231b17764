"""Which stream takes a message: the table of decisions, and laws about all messages."""

import gzip
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.envelope import Message
from app.ingest.routing import AskMembers, Route, Routed, RoutingTable, Unroutable, route_at_once, route_in_steps
from app.record import Record
from app.settings.ingest import IngestSettings
from app.streams import Stream, make_streams, single_stream
from tests.ingest.reading import finish
from tests.streams.market import STREAMS, Order, Payment

TABLE = RoutingTable(make_streams(STREAMS, default_retention_days=1))
ORDER, PAYMENT = b'{"order_id":"a","kind":"order"}', b'{"number":1,"kind":"payment"}'
NDJSON = "application/x-ndjson"


def message(data: bytes = b"{}", **more: Any) -> Message:
    """Return a message that holds `data`."""
    return Message(key="1:0", data=data, **more)


def route_of(sent: Message, table: RoutingTable = TABLE) -> Route:
    """Route as the service does: at once where that is possible."""
    found = route_at_once(table, sent)
    return finish(route_in_steps(table, sent, IngestSettings())) if found is None else found


_TABLE: dict[str, tuple[Message, str]] = {
    "the path": (message(ORDER, route="visits", subscription_name="s", attributes={"stream": "orders"}), "visits"),
    "the subscription": (
        message(ORDER, subscription_name="projects/p/subscriptions/visits-push", attributes={"stream": "orders"}),
        "visits",
    ),
    "the subscription by its short name": (message(subscription_name="visits-push"), "visits"),
    "the attribute stream": (message(PAYMENT, attributes={"stream": "orders", "ce-type": "payment.made"}), "orders"),
    "a declared attribute": (message(ORDER, attributes={"ce-type": "payment.returned"}), "payments"),
    "an attribute stream that is none": (message(ORDER, attributes={"stream": "order"}), "orders"),
    "another subscription": (message(PAYMENT, subscription_name="projects/p/subscriptions/x"), "payments"),
    "a member": (message(PAYMENT), "payments"),
    "the members of an array": (message(b"[" + ORDER + b"," + ORDER + b"]"), "orders"),
    "the members of lines": (message(ORDER + b"\n" + ORDER + b"\n", content_type=NDJSON), "orders"),
    "a member, compressed": (message(gzip.compress(PAYMENT, mtime=0), content_encoding="gzip"), "payments"),
    "a member of a large record": (message(b'{"x":"' + b"y" * 200_000 + b'",' + ORDER[1:]), "orders"),
    "a member after blanks": (message(b" \n" + ORDER), "orders"),
}


@pytest.mark.parametrize(("sent", "stream"), _TABLE.values(), ids=_TABLE.keys())
def test_the_first_that_names_a_stream_decides(sent: Message, stream: str) -> None:
    """The path, the subscription, the attributes, the members."""
    assert route_of(sent) == Routed(stream)


_UNROUTABLE: dict[str, tuple[Message, str]] = {
    "a path that is no stream": (message(ORDER, route="order"), "there is no stream 'order', which the path"),
    "another member": (message(b'{"kind":"else"}'), "the members of record 0 (kind) match no stream"),
    "no member": (message(b"{}"), "the members of record 0 (kind) match no stream"),
    "two streams in one message": (
        message(b"[" + ORDER + b"," + PAYMENT + b"]"),
        "record 0 belongs to orders, record 1 to payments: send the records of one stream in one message",
    ),
    "two streams in lines": (message(ORDER + b"\n" + PAYMENT, content_type=NDJSON), "record 1 to payments"),
    "one record of none": (message(b"[" + ORDER + b',{"kind":7}]'), "the members of record 1"),
    "no JSON": (message(b"{nonsense"), "record 0 is not a JSON object whose members could tell"),
    "no object": (message(b"7"), "record 0 is not a JSON object"),
    "an array that never ends": (message(b"[" + ORDER), "the records, which would tell the stream, cannot be read"),
    "no records": (message(b"[]"), "the message has no record whose members could tell"),
    "no data": (message(b""), "the records, which would tell the stream, cannot be read"),
    "bad gzip": (message(b"x", content_encoding="gzip"), "not valid gzip"),
    "a number instead of a text": (message(b'{"kind":1}'), "match no stream"),
    "a value too long to be one": (message(b'{"kind":"' + b"o" * 5_000 + b'"}'), "match no stream"),
}


@pytest.mark.parametrize(("sent", "told"), _UNROUTABLE.values(), ids=_UNROUTABLE.keys())
def test_what_no_stream_takes_is_told_why(sent: Message, told: str) -> None:
    """With what would be right."""
    route = route_of(sent)
    assert isinstance(route, Unroutable)
    assert told in route.detail


def test_without_rules_for_members_the_payload_is_not_read() -> None:
    """The text names what was looked at, and the streams."""
    table = RoutingTable(make_streams({"a": Order, "b": Payment}, default_retention_days=1))
    assert route_of(message(b"not even JSON"), table) == Unroutable(
        "neither the path of the push, nor the subscription, nor an attribute names a stream; the streams are a, b"
    )
    assert route_of(message(attributes={"stream": "c"}), table) == Unroutable(
        "the attribute stream is 'c'; the streams are a, b"
    )


def test_two_streams_at_one_level_take_nothing() -> None:
    """Rules may overlap without being equal; the message says so instead of going to either."""
    streams = {
        "all": Stream(record=Order, attributes={"t": "x"}, members={"k": 1}),
        "some": Stream(record=Order, attributes={"t": "x", "u": "y"}, members={"k": 1, "a.b": True}),
    }
    table = RoutingTable(make_streams(streams, default_retention_days=1))
    assert route_of(message(attributes={"t": "x"}), table) == Routed("all")
    assert route_of(message(attributes={"t": "x", "u": "y"}), table) == Unroutable(
        "the attributes of the message match 2 streams: all, some"
    )
    assert route_of(message(b'{"k":1,"a":{"b":true}}'), table) == Unroutable(
        "the members of record 0 match 2 streams: all, some"
    )
    assert route_of(message(b'{"k":1,"a":{"b":1}}'), table) == Routed("all")  # 1 is not true
    assert route_of(message(b'{"k":1,"a":7}'), table) == Routed("all")


def test_a_single_type_takes_every_message() -> None:
    """Whatever its attributes say; only a path that names another stream is refused."""
    table = RoutingTable(single_stream(Record))
    sent = message(b"anything", subscription_name="s", attributes={"stream": "orders"})
    assert route_of(sent, table) == Routed("records")
    assert route_of(message(route="records"), table) == Routed("records")
    assert isinstance(route_of(message(route="orders"), table), Unroutable)


_scalars = st.sampled_from(["order", "payment", "other", 1, True, None, 1.5])
_records = st.lists(st.dictionaries(st.sampled_from(["kind", "x"]), _scalars), max_size=3)
_messages = st.builds(
    message,
    st.one_of(_records.map(msgspec.json.encode), _scalars.map(msgspec.json.encode), st.binary(max_size=30)),
    route=st.sampled_from(["", "", "orders", "none"]),
    subscription_name=st.sampled_from([None, "projects/p/subscriptions/visits-push", "x"]),
    attributes=st.dictionaries(
        st.sampled_from(["stream", "ce-type"]), st.sampled_from(["orders", "none", "payment.made"]), max_size=2
    ),
    content_type=st.sampled_from(["", NDJSON]),
)


@given(_messages)
def test_every_message_has_exactly_one_answer(sent: Message) -> None:
    """At once or in steps; a stream that exists, or a reason that names what would be right."""
    route = route_of(sent)
    assert route == route_of(sent)
    if isinstance(route, Unroutable):
        assert route.detail
    else:
        assert route.stream in STREAMS
    if TABLE.by_envelope(sent) == AskMembers():
        assert finish(route_in_steps(TABLE, sent, IngestSettings())) == route
    else:
        assert TABLE.by_envelope(sent) == route
