"""The demonstration's checks hold when all is well, and fail when anything is not."""

import base64
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sluice.local.demo.checks import Observed, Row, check_all
from sluice.local.demo.command import rows as rows_of
from sluice.local.demo.plan import Plan, make_plan
from sluice.local.flights.streams import STREAMS
from sluice.local.pubsub.subscription import Backlog
from sluice.local.stack_settings import of_stream

RUN = "run-1"
SHARED = "projects/p/subscriptions/s"
SUBSCRIPTIONS = {"": SHARED} | {stream: of_stream(SHARED, stream) for stream in STREAMS}
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Return a plan of the first 100 flights, with as much of the weather, and the airports."""
    return make_plan(rows_of(100), RUN)


BACKLOG = Backlog(
    subscription="projects/p/subscriptions/events-push",
    num_undelivered_messages=0,
    oldest_unacked_message_age=0,
    dead_letter_message_count=0,
    expired_message_count=0,
    message_retention_duration=600,
    push_endpoint="",
    is_push=True,
)


def perfect(plan: Plan) -> Observed:
    """Return what a run sees when the service makes no mistake."""
    feeds: dict[str, list[Row]] = {stream: [] for stream in STREAMS}
    rejects: list[Row] = []
    instants = itertools.count()
    for message in plan.messages:
        for position in sorted(message.good.keys() | message.bad.keys()):
            envelope: Row = {
                "subscription_name": SUBSCRIPTIONS["" if message.is_shared else message.stream],
                "message_id": f"id-{message.number}",
                "publish_time": BEGUN.isoformat(),
                "attributes": dict(message.attributes),
                "ordering_key": message.ordering_key or None,
                "message_index": position,
                "delivery_key": f"id-{message.number}:{position}",
                "ingest_time": (BEGUN + timedelta(microseconds=next(instants))).isoformat(),
                "trace_id": None,
            }
            if position in message.good:
                feeds[message.stream].append(msgspec.to_builtins(message.good[position]) | envelope)
            else:
                bad = message.bad[position]
                said = {"reason": bad.reason, "field": bad.field, "detail": "what was wrong"}
                said["stream"] = message.stream or None
                payload = {"payload": base64.b64encode(bad.raw).decode(), "part": 0, "parts": 1}
                rejects.append(said | payload | envelope)
    return Observed(
        message_ids={message.number: f"id-{message.number}" for message in plan.messages},
        subscriptions=SUBSCRIPTIONS,
        feeds=feeds,
        followed=dict(feeds),
        resumed={},
        rejects=rejects,
        own_rejects={stream: [row for row in rejects if row["stream"] == stream] for stream in STREAMS},
        redelivered={message.number: 204 for message in plan.messages if message.redeliver},
        backlogs=[BACKLOG],
    )


def failing(plan: Plan, **changes: Any) -> dict[str, tuple[str, ...]]:
    """Return the checks that fail of a perfect run with these changes, by title, with their problems."""
    seen = msgspec.structs.replace(perfect(plan), **changes)
    return {check.title: check.problems for check in check_all(plan, seen) if not check.holds}


def edited(rows: Any, position: int, **changes: Any) -> list[Row]:
    """Return the rows, with members of one changed; of a member that is an object, members of its own."""
    row = dict(rows[position])
    for name, value in changes.items():
        row[name] = row[name] | value if isinstance(value, dict) else value
    return [*rows[:position], row, *rows[position + 1 :]]


ONCE = "every good record was returned once, by its stream, and nothing else"
UNCHANGED = "every record was returned unchanged, field by field"
ENVELOPE = "every record has the id, attributes and key of its message"
ORDER = "every feed is in order"
FOLLOWED = "following the feeds during the writes returned each record once"
RESUMED = "resuming at the end returned nothing twice"
REJECTED = "every bad record is among the rejects exactly once"
OWN = "every stream shows its own rejects, and no others"
EXPLAINED = "every reject has its stream, its reason, its field and its exact bytes"
REDELIVERED = "every second delivery was acknowledged"
DRAINED = "Pub/Sub has nothing left to deliver"


def test_nothing_is_wrong_when_nothing_is_wrong(plan: Plan) -> None:
    """All checks hold for a service that makes no mistake, and these are all the checks."""
    checks = check_all(plan, perfect(plan))
    assert [check.problems for check in checks if not check.holds] == []
    everything = {ONCE, UNCHANGED, ENVELOPE, ORDER, FOLLOWED, RESUMED, REJECTED, OWN, EXPLAINED, REDELIVERED, DRAINED}
    assert {check.title for check in checks} == everything


Changes = dict[str, Any]


def edit(where: str, position: int, **changes: Any) -> Callable[[Observed], Changes]:
    """Return what changes one row of a stream's feed, or of the rejects."""
    if where == "rejects":
        return rejects(lambda rows: edited(rows, position, **changes))
    return feed(lambda rows: edited(rows, position, **changes), where)


def feed(
    change: Callable[[Any], list[Row]], stream: str = "flights", of: str = "feeds"
) -> Callable[[Observed], Changes]:
    """Return what changes a stream's feed."""
    return lambda seen: {of: dict(getattr(seen, of)) | {stream: change(getattr(seen, of)[stream])}}


def rejects(change: Callable[[Any], list[Row]]) -> Callable[[Observed], Changes]:
    """Return what changes the rejects, as all and as their own streams show them."""

    def changed(seen: Observed) -> Changes:
        rows = change(seen.rejects)
        own = {stream: [row for row in rows if row["stream"] == stream] for stream in STREAMS}
        return {"rejects": rows, "own_rejects": own}

    return changed


def mixed(seen: Observed) -> dict[str, list[Row]]:
    """Return the feeds with a flight among the airports."""
    feeds = {stream: list(rows) for stream, rows in seen.feeds.items()}
    feeds["airports"].append(feeds["flights"].pop())
    return feeds


WRONGS: list[tuple[str, set[str], Callable[[Observed], Changes]]] = [
    ("a record is missing", {ONCE}, feed(lambda rows: rows[1:])),
    ("a record is doubled", {ONCE, ORDER}, feed(lambda rows: [*rows, rows[0]])),
    ("a flight is in another stream", {ONCE}, lambda seen: {"feeds": mixed(seen)}),
    ("an hour is lost in a nested time", {UNCHANGED}, edit("flights", 5, schedule={"arrival_local": "00:00:00"})),
    ("a value is nulled", {UNCHANGED}, edit("flights", 0, tail_number=None)),
    ("a column is added", {UNCHANGED}, edit("flights", 0, gate="C12")),
    ("an id is another's", {ENVELOPE}, edit("flights", 0, message_id="id-9")),
    ("it came by another subscription", {ENVELOPE}, edit("weather", 0, subscription_name="projects/p/s")),
    ("two change places", {ORDER}, feed(lambda rows: [rows[1], rows[0], *rows[2:]])),
    ("the follower missed one", {FOLLOWED}, feed(lambda rows: rows[:-1], of="followed")),
    ("resuming repeats a record", {RESUMED}, lambda seen: {"resumed": {"weather": [seen.feeds["weather"][-1]]}}),
    ("a reject is missing", {REJECTED}, rejects(lambda rows: rows[1:])),
    ("no stream shows rejects", {OWN}, lambda _: {"own_rejects": {}}),
    ("a reason is wrong", {EXPLAINED}, edit("rejects", 0, reason="empty")),
    ("the bytes are not the same", {EXPLAINED}, edit("rejects", 0, payload="AAAA")),
    ("a copy was refused", {REDELIVERED}, lambda seen: {"redelivered": dict(seen.redelivered) | {0: 503}}),
    (
        "a message waits",
        {DRAINED},
        lambda _: {"backlogs": [msgspec.structs.replace(BACKLOG, num_undelivered_messages=1)]},
    ),
]


@pytest.mark.parametrize(("expected", "spoil"), [row[1:] for row in WRONGS], ids=[row[0] for row in WRONGS])
def test_every_wrong_is_found(plan: Plan, expected: set[str], spoil: Callable[[Observed], Changes]) -> None:
    """Whatever goes wrong, exactly the checks that are about it fail, and say what was found."""
    found = failing(plan, **spoil(perfect(plan)))
    assert set(found) == expected
    assert all(problem for problems in found.values() for problem in problems)


def test_a_reject_in_parts_is_put_together(plan: Plan) -> None:
    """A payload that was cut over several rows is compared as a whole, in the order of the parts."""
    seen = perfect(plan)
    whole = base64.b64decode(seen.rejects[0]["payload"])
    parts = [
        seen.rejects[0] | {"payload": base64.b64encode(cut).decode(), "part": part, "parts": 2}
        for part, cut in enumerate((whole[:5], whole[5:]))
    ]
    assert failing(plan, **rejects(lambda rows: [*reversed(parts), *rows[1:]])(seen)) == {}
