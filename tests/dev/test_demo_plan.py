"""What the demonstration decides to publish."""

import gzip
import itertools
from collections import Counter
from typing import Any

import msgspec
import pytest

from dev.demo.mistakes import mistakes
from dev.demo.plan import Plan, Planned, make_plan
from examples.flights import load
from examples.flights.record import Flight


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Return the first 300 flights."""
    return list(itertools.islice(load.rows(), 300))


@pytest.fixture(scope="module")
def plan(rows: list[dict[str, Any]]) -> Plan:
    """Return a plan of those flights."""
    return make_plan(rows, "run-1")


def pieces(message: Planned) -> list[bytes]:
    """Return the records that a message carries, as a receiver would cut it."""
    data = gzip.decompress(message.data) if "content-encoding" in message.attributes else message.data
    if message.attributes.get("content-type") == "application/x-ndjson":
        return data.splitlines()
    if data.startswith(b"["):
        return [bytes(raw) for raw in msgspec.json.decode(data, type=list[msgspec.Raw])]
    return [data]


def test_every_flight_is_published_as_itself(plan: Plan, rows: list[dict[str, Any]]) -> None:
    """The messages without a mistake carry each flight once, and the plan expects what they carry."""
    carried = []
    for message in plan.messages:
        if not message.bad:
            flights = [msgspec.json.decode(piece, type=Flight) for piece in pieces(message)]
            assert dict(enumerate(flights)) == message.good
            carried += flights
    assert carried == [msgspec.convert(row, Flight) for row in rows]


def test_good_records_beside_bad_ones_are_expected_where_they_stand(plan: Plan) -> None:
    """In a message with a mistake, the good records are the ones the plan expects at their positions."""
    mixed = [message for message in plan.messages if message.bad and message.good]
    assert len(mixed) == 2
    for message in mixed:
        cut = pieces(message)
        assert len(cut) == len(message.good) + len(message.bad)
        for position, flight in message.good.items():
            assert msgspec.json.decode(cut[position], type=Flight) == flight
        for position, bad in message.bad.items():
            assert cut[position] == bad.raw


def test_no_bad_record_is_a_flight(rows: list[dict[str, Any]]) -> None:
    """Whatever the plan expects to be rejected does not decode as a flight, unless it is badly packed."""
    for mistake in mistakes(rows):
        for bad in mistake.bad.values():
            if bad.reason != "bad_encoding":
                with pytest.raises(msgspec.DecodeError):
                    msgspec.json.decode(bad.raw, type=Flight)


def test_every_shape_and_every_mistake_occurs(plan: Plan, rows: list[dict[str, Any]]) -> None:
    """Even a short run has single records, arrays, lines, gzip, ordering keys and all the mistakes."""
    packed = Counter(
        (
            message.attributes.get("content-type"),
            message.attributes.get("content-encoding"),
            bool(message.ordering_key),
            len(message.good) > 1,
        )
        for message in plan.messages
        if not message.bad
    )
    assert set(packed) == {
        (None, None, False, False),
        (None, None, True, False),
        (None, None, False, True),
        (None, "gzip", False, False),
        (None, "gzip", False, True),
        ("application/x-ndjson", None, False, True),
    }
    assert [message.title for message in plan.messages if message.bad] == [m.title for m in mistakes(rows)]
    assert plan.bad_count > len(mistakes(rows)), "one message has two bad records"


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
    assert len(twice) < len(plan.messages) / 10


def test_too_few_flights_are_refused(rows: list[dict[str, Any]]) -> None:
    """A plan that could not have every shape is not made."""
    with pytest.raises(ValueError, match="at least 100"):
        make_plan(rows[:99], "run-1")
