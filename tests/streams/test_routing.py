"""Which stream takes a message: the table of decisions, and laws about all messages."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.record import Record
from app.streams import Route, RoutingTable, Stream, make_streams, single_stream
from tests.streams.market import STREAMS, Order, Payment

TABLE = RoutingTable(make_streams(STREAMS, default_retention_days=1))
RULED = RoutingTable(
    make_streams(
        {"orders": Stream(record=Order, attributes={"t": "order"}), "payments": Payment}, default_retention_days=1
    )
)
"""Streams of which the first has a rule of its own."""
STREAMS_ARE = "; the streams are orders, payments, visits"


def routed(table: RoutingTable, sent: Message, path: str = "") -> Route:
    """Return where a message goes; `path` is what the path of its push names."""
    return table.route(sent.subscription_name, sent.attributes, path)


def message(**parts: Any) -> Message:
    """Return a message whose data is no JSON: nothing is decoded to find its stream."""
    return Message(key="1:0", data=b"{nonsense", **parts)


_ROUTED: dict[str, tuple[Message, str]] = {
    "the subscription": (
        message(subscription_name="projects/p/subscriptions/visits-push", attributes={"stream": "orders"}),
        "visits",
    ),
    "the subscription by its short name": (message(subscription_name="visits-push"), "visits"),
    "the attribute stream": (message(attributes={"stream": "visits", "ce-type": "payment.made"}), "visits"),
    "a declared attribute": (message(attributes={"ce-type": "payment.returned"}), "payments"),
}


@pytest.mark.parametrize(("sent", "stream"), _ROUTED.values(), ids=_ROUTED.keys())
def test_the_first_rule_that_names_a_stream_decides(sent: Message, stream: str) -> None:
    """The path, the subscription, the attribute `stream`, the declared attributes."""
    assert routed(TABLE, sent) == Route(stream)


@pytest.mark.parametrize(
    "sent",
    [
        message(),
        message(subscription_name="projects/p/subscriptions/x", attributes={"ce-type": "payment.lost"}),
    ],
)
def test_what_no_rule_names_goes_to_the_first_stream_unless_that_has_a_rule(sent: Message) -> None:
    """So a second stream changes nothing for the producers of the first."""
    assert routed(TABLE, sent) == Route("orders")
    assert routed(RULED, sent) == Route(
        "orders",
        "neither the path of the push, nor the subscription, nor an attribute names a stream; "
        "the streams are orders, payments",
    )


_UNROUTABLE: dict[str, tuple[Message, str]] = {
    "a misspelt attribute": (
        message(attributes={"stream": "order"}),
        "there is no stream 'order', which the attribute stream names" + STREAMS_ARE,
    ),
    "a misspelt attribute beside one that matches": (
        message(attributes={"stream": "visit", "ce-type": "payment.made"}),
        "there is no stream 'visit', which the attribute stream names" + STREAMS_ARE,
    ),
    "an empty attribute": (
        message(attributes={"stream": ""}),
        "there is no stream '', which the attribute stream names" + STREAMS_ARE,
    ),
}


@pytest.mark.parametrize(("sent", "detail"), _UNROUTABLE.values(), ids=_UNROUTABLE.keys())
def test_a_name_that_is_no_stream_makes_a_message_unroutable(sent: Message, detail: str) -> None:
    """The detail quotes the name and lists the streams."""
    assert routed(TABLE, sent) == Route("orders", detail)


def test_the_path_decides_before_anything_else() -> None:
    """Whatever the subscription and the attributes say."""
    sent = message(subscription_name="s", attributes={"stream": "order"})
    assert routed(TABLE, sent, "visits") == Route("visits")
    assert routed(TABLE, message(attributes={"stream": "orders"}), "order") == Route(
        "orders", "there is no stream 'order', which the path of the push names" + STREAMS_ARE
    )


def test_two_streams_at_one_level_take_nothing() -> None:
    """Rules may overlap without being equal; the message says so instead of going to either."""
    streams = {
        "all": Stream(record=Order, attributes={"t": "x"}),
        "some": Stream(record=Order, attributes={"t": "x", "u": "y"}),
    }
    table = RoutingTable(make_streams(streams, default_retention_days=1))
    assert routed(table, message(attributes={"t": "x"})) == Route("all")
    assert routed(table, message(attributes={"t": "x", "u": "y"})) == Route(
        "all", "the attributes of the message match 2 streams: all, some"
    )


def test_a_single_type_takes_every_message() -> None:
    """Whatever its attributes say; only a path that names another stream is refused."""
    table = RoutingTable(single_stream(Record))
    sent = message(subscription_name="s", attributes={"stream": "orders"})
    assert routed(table, sent) == Route("records")
    assert routed(table, message(), "records") == Route("records")
    assert routed(table, message(), "orders").unroutable


_messages = st.builds(
    message,
    subscription_name=st.sampled_from([None, "projects/p/subscriptions/visits-push", "x"]),
    attributes=st.dictionaries(
        st.sampled_from(["stream", "ce-type", "t"]),
        st.sampled_from(["orders", "none", "payment.made", "order"]),
        max_size=3,
    ),
)


@given(_messages, st.sampled_from(["", "", "orders", "none"]), st.sampled_from([TABLE, RULED]))
def test_every_message_has_exactly_one_route(sent: Message, path: str, table: RoutingTable) -> None:
    """A stream that exists, or a reason; a name that is no stream is never ignored."""
    route = routed(table, sent, path)
    assert route.stream in STREAMS
    if route.unroutable:
        return
    if not path and "stream" in sent.attributes and route.stream != "visits":
        assert sent.attributes["stream"] == route.stream
