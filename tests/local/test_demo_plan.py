"""What the demonstration decides to publish."""

import gzip
from collections import Counter
from typing import Any

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.routing import Routed, RoutingTable, Unroutable
from app.streams import make_streams
from sluice.local.demo.command import rows as rows_of
from sluice.local.demo.mistakes import mistakes, mistakes_of_streams
from sluice.local.demo.plan import Plan, Planned, Rows, make_plan
from sluice.local.demo.report import curl_lines
from sluice.local.flights.streams import STREAMS


@pytest.fixture(scope="module")
def rows() -> Rows:
    """Return 300 flights, 300 observations of the weather, and the airports."""
    return rows_of(300)


@pytest.fixture(scope="module")
def plan(rows: Rows) -> Plan:
    """Return a plan of those records."""
    return make_plan(rows, "run-1")


def pieces(message: Planned) -> list[bytes]:
    """Return the records that a message carries, as a receiver would cut it."""
    data = gzip.decompress(message.data) if "content-encoding" in message.attributes else message.data
    if message.attributes.get("content-type") == "application/x-ndjson":
        return data.splitlines()
    if data.startswith(b"["):
        return [bytes(raw) for raw in msgspec.json.decode(data, type=list[msgspec.Raw])]
    return [data]


def test_every_record_is_published_as_itself(plan: Plan, rows: Rows) -> None:
    """The messages without a mistake carry each record of their stream once, and the plan expects what they carry."""
    carried: dict[str, list[Any]] = {stream: [] for stream in STREAMS}
    for message in plan.messages:
        if not message.bad:
            kind = STREAMS[message.stream].record
            records = [msgspec.json.decode(piece, type=kind) for piece in pieces(message)]
            assert dict(enumerate(records)) == message.good
            carried[message.stream] += records
    for stream, published in msgspec.structs.asdict(rows).items():
        assert carried[stream] == [msgspec.convert(row, STREAMS[stream].record) for row in published]


def test_a_message_takes_a_topic_that_brings_it_to_its_stream(plan: Plan) -> None:
    """Its stream's own, or the shared one with an attribute that one stream alone declares; or none, on purpose."""
    table, found = RoutingTable(make_streams(STREAMS, default_retention_days=1)), set()
    for message in plan.messages:
        path = "" if message.is_shared else message.stream
        pushed = Message(key="1", data=message.data, attributes=message.attributes, route=path)
        route = table.route(pushed)
        assert isinstance(route, Unroutable if not message.stream else Routed)
        assert not isinstance(route, Routed) or route.stream == message.stream
        found.add((message.stream, message.is_shared, *message.attributes.keys() & {"stream", "ce-type"}))
    for stream in ("flights", "weather"):
        assert {(stream, False), (stream, True, "stream"), (stream, True, "ce-type")} <= found
    assert {("airports", False), ("", True), ("", True, "ce-type")} <= found


def test_good_records_beside_bad_ones_are_expected_where_they_stand(plan: Plan) -> None:
    """In a message with a mistake, the good records are the ones the plan expects at their positions."""
    mixed = [message for message in plan.messages if message.bad and message.good]
    assert len(mixed) == 2
    for message in mixed:
        cut = pieces(message)
        assert len(cut) == len(message.good) + len(message.bad)
        for position, flight in message.good.items():
            assert msgspec.json.decode(cut[position], type=STREAMS[message.stream].record) == flight
        for position, bad in message.bad.items():
            assert cut[position] == bad.raw


def test_no_bad_record_is_one_of_its_stream(plan: Plan) -> None:
    """Whatever must be rejected does not decode as a record, unless it is badly packed or belongs to no stream."""
    for message in plan.messages:
        for bad in message.bad.values():
            if bad.reason not in {"bad_encoding", "unroutable"}:
                with pytest.raises(msgspec.DecodeError):
                    msgspec.json.decode(bad.raw, type=STREAMS[message.stream].record)


def test_every_shape_and_every_mistake_occurs(plan: Plan, rows: Rows) -> None:
    """Even a short run has single records, arrays, lines, gzip, ordering keys and all the mistakes."""
    packed = Counter(
        (
            message.attributes.get("content-type"),
            message.attributes.get("content-encoding"),
            bool(message.ordering_key),
            len(message.good) > 1,
        )
        for message in plan.messages
        if not message.bad and message.stream == "flights"
    )
    assert set(packed) == {
        (None, None, False, False),
        (None, None, True, False),
        (None, None, False, True),
        (None, "gzip", False, False),
        (None, "gzip", False, True),
        ("application/x-ndjson", None, False, True),
    }
    made = [*mistakes(rows.flights), *mistakes_of_streams(rows.weather[0], rows.airports[0])]
    assert sorted(message.title for message in plan.messages if message.bad) == sorted(each.title for each in made)
    assert plan.bad_count > len(made), "one message has two bad records"


def test_messages_are_numbered_and_name_their_run(plan: Plan) -> None:
    """A message's number is its position, and its attributes carry number and run."""
    for position, message in enumerate(plan.messages):
        assert message.number == position
        assert (message.attributes["run"], message.attributes["message"]) == ("run-1", str(position))


def test_some_of_every_kind_are_delivered_twice(plan: Plan) -> None:
    """A good single record, an array, a compressed one and a bad one are among the second deliveries."""
    twice = [message for message in plan.messages if message.redeliver]
    assert any(message.bad for message in twice)
    assert any(len(message.good) > 1 for message in twice)
    assert any("content-encoding" in message.attributes for message in twice)
    assert any(message.ordering_key for message in twice)
    assert {message.stream for message in twice} == {*STREAMS, ""}
    assert len(twice) < len(plan.messages) / 10


def test_too_few_flights_are_refused() -> None:
    """A plan that could not have every shape is not made."""
    with pytest.raises(ValueError, match="at least 100"):
        make_plan(rows_of(99), "run-1")


def test_commands_are_proposed_with_the_real_address() -> None:
    """Each line calls the service where it listens."""
    lines = curl_lines("http://127.0.0.1:4711", "2013-01-01-UA-1545-EWR")
    assert len(lines) == 7
    assert all(line.startswith("curl 'http://127.0.0.1:4711/v1/") for line in lines)
