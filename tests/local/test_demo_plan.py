"""What the demonstration decides to publish."""

import gzip
from typing import Any

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.routing import Routed, RoutingTable, Unroutable
from app.streams import make_streams
from sluice.local.demo.command import rows as rows_of
from sluice.local.demo.plan import Plan, Planned, Rows, make_plan
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
