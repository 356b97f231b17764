"""A seed makes a plan, always the same, with everything in it that is to be tried."""

import gzip
import signal

import msgspec

from sluice.testing.misbehaving.faults import Arrival, Fault
from tests.chaos.plan import AT_STORE, CutReads, Kill, Outage, Plan, make_plan
from tests.chaos.weather import Weather


def plan(seed: int) -> Plan:
    """Make the plan of a small run."""
    return make_plan(seed, 3_000, instances=2, kills=4, outages=2, cuts=3)


def weather(seed: int) -> Weather:
    """Make the weather of a run in which half of the requests meet something."""
    return Weather(seed, rate=0.5, max_quota=2, deadline_s=2.0, margin_s=3.0)


def faults(seed: int, requests: int) -> list[Fault]:
    """Return what befalls so many requests."""
    decide = weather(seed)
    return [
        decide(Arrival(connection=1, number=1, ordinal=n, table="records", ids=(), byte_count=1, arrival_us=0))
        for n in range(requests)
    ]


def test_the_same_seed_makes_the_same_plan() -> None:
    """Messages, events and faults repeat; another seed makes others."""
    assert plan(1) == plan(1)
    assert plan(1) != plan(2)
    assert faults(1, 200) == faults(1, 200)
    assert faults(1, 200) != faults(2, 200)


def test_a_plan_has_everything_in_it() -> None:
    """Every reason for a reject, every form of message, both ways in, copies of both kinds."""
    messages = plan(1).messages
    items = [item for message in messages for item in message.items]
    assert {item.reason for item in items} == {None, "malformed", "invalid", "bad_encoding", "empty", "refused"}
    assert {message.way for message in messages} == {"push", "post"}
    assert {message.copies for message in messages} == {"none", "at once", "later"}
    assert max(len(message.items) for message in messages) > 1
    assert any("content-encoding" in message.attributes for message in messages)
    assert all((AT_STORE.encode() in item.raw) is (item.reason == "refused") for item in items)
    ids = [item.record["id"] for item in items if item.record]
    assert len(ids) == len(set(ids))


def test_a_message_holds_the_records_it_is_said_to() -> None:
    """What is expected of a message is what is in its data."""
    for message in plan(1).messages:
        if any(item.reason for item in message.items):
            continue
        data = gzip.decompress(message.data) if "content-encoding" in message.attributes else message.data
        pieces = data.split(b"\n") if "content-type" in message.attributes else [data]
        found = [msgspec.json.decode(piece) for piece in pieces]
        assert (found[0] if isinstance(found[0], list) else found) == [item.record for item in message.items]


def test_events_are_spread_over_the_run() -> None:
    """Half of the kills are SIGTERM, and everything falls due before the last message."""
    made = plan(1)
    kills = [event.what.signal for event in made.events if isinstance(event.what, Kill)]
    assert sorted(kills) == sorted([signal.SIGKILL] * 2 + [signal.SIGTERM] * 2)
    assert sum(isinstance(event.what, Outage) for event in made.events) == 2
    assert sum(isinstance(event.what, CutReads) for event in made.events) == 3
    assert all(0 < event.at < len(made.messages) for event in made.events)


def test_nothing_commits_beyond_the_margin() -> None:
    """What the service promises nothing about is not tried; what it does is: every kind comes up."""
    assert all(fault.commit_delay_s < 2.0 + 3.0 / 2 for fault in faults(1, 2_000))
    decide = weather(1)
    for ordinal in range(2_000):
        decide(Arrival(connection=1, number=1, ordinal=ordinal, table="records", ids=(), byte_count=1, arrival_us=0))
    assert len(decide.counts) == 11
    assert decide.counts["quota"] == 2
