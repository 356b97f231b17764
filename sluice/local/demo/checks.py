"""Compare the rows read back with the plan. Pure.

Every check returns its problems in words, expected and found; no problems mean that it holds. Rows are the service's
JSON objects: the record's fields and the envelope's columns side by side.
"""

import base64
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from app.record import Envelope
from sluice.local.demo.plan import NUMBER, RUN, Plan, Planned
from sluice.local.flights.streams import STREAMS
from sluice.local.pubsub.subscription import Backlog

Row = dict[str, Any]
Place = tuple[int, int]
"""Number of the message in the plan, position of the record in the message."""

ENVELOPE = frozenset(Envelope.__struct_fields__)
ACKNOWLEDGED = 204


class Check(msgspec.Struct, frozen=True):
    """A check and its problems (none: it holds)."""

    title: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """The observations of a run. Row lists hold this run's rows only (`of_run`)."""

    message_ids: Mapping[int, str]
    """Pub/Sub's id of each message, by its number in the plan."""
    subscriptions: Mapping[str, str]
    """The subscription to each stream's own topic, and under "" that to the shared one."""
    feeds: Mapping[str, Sequence[Row]]
    """All records of each stream, read from beginning to end when everything had arrived."""
    followed: Mapping[str, Sequence[Row]]
    """The same feeds, followed while the records arrived."""
    resumed: Mapping[str, Sequence[Row]]
    """The rows after the last resume cursor of each feed, when nothing new had arrived."""
    rejects: Sequence[Row]
    """The rejects of all streams, and of none."""
    own_rejects: Mapping[str, Sequence[Row]]
    """The rejects that each stream shows."""
    redelivered: Mapping[int, int]
    """The service's response status for each second delivery, by message number."""
    backlogs: Sequence[Backlog]
    """What Pub/Sub holds when everything was read."""


def of_run(rows: Iterable[Row], run: str) -> list[Row]:
    """Return the rows whose message belongs to this run."""
    return [row for row in rows if (row.get("attributes") or {}).get(RUN) == run]


def check_all(plan: Plan, seen: Observed) -> list[Check]:
    """Return every check of a run, in the order in which to show them."""
    good: dict[str, set[Place]] = {stream: set() for stream in STREAMS}
    for message in plan.messages:
        if message.stream:
            good[message.stream].update((message.number, position) for position in message.good)
    bad = {(message.number, position) for message in plan.messages for position in message.bad}
    stored, followed = _by_stream_and_place(seen.feeds), _by_stream_and_place(seen.followed)
    rejected = by_place(seen.rejects)
    first_parts = {place: [row for row in rows if row["part"] == 0] for place, rows in rejected.items()}
    return [
        Check("every good record was returned once, by its stream, and nothing else", tuple(in_streams(good, stored))),
        Check("every record was returned unchanged, field by field", tuple(contents(plan, stored))),
        Check("every record has the id, attributes and key of its message", tuple(envelopes(plan, seen))),
        Check("every feed is in order", tuple(line for feed in seen.feeds.values() for line in order(feed))),
        Check("following the feeds during the writes returned each record once", tuple(in_streams(good, followed))),
        Check(
            "resuming at the end returned nothing twice",
            tuple(f"again: {row['delivery_key']}" for rows in seen.resumed.values() for row in rows),
        ),
        Check("every bad record is among the rejects exactly once", tuple(each_once(bad, first_parts))),
        Check("every stream shows its own rejects, and no others", tuple(own_rejects(seen))),
        Check(
            "every reject has its stream, its reason, its field and its exact bytes", tuple(rejections(plan, rejected))
        ),
        Check("every second delivery was acknowledged", tuple(redeliveries(plan, seen.redelivered))),
        Check("Pub/Sub has nothing left to deliver", tuple(left_over(seen))),
    ]


def by_place(rows: Iterable[Row]) -> dict[Place, list[Row]]:
    """Group rows by the record of the plan that they belong to."""
    groups: dict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        groups[(int(row["attributes"][NUMBER]), row["message_index"])].append(row)
    return groups


def _by_stream_and_place(feeds: Mapping[str, Sequence[Row]]) -> dict[str, dict[Place, list[Row]]]:
    return {stream: by_place(rows) for stream, rows in feeds.items()}


def each_once(expected: set[Place], actual: Mapping[Place, Sequence[Row]]) -> Iterator[str]:
    """Name every record that is missing, duplicated, or unexpected."""
    for place in sorted(expected - actual.keys()):
        yield f"{_named(place)}: expected once, found nowhere"
    for place, rows in actual.items():
        if place not in expected:
            yield f"{_named(place)}: not expected, found {rows}"
        elif len(rows) != 1:
            yield f"{_named(place)}: expected once, found {len(rows)} times"


def in_streams(
    expected: Mapping[str, set[Place]], actual: Mapping[str, Mapping[Place, Sequence[Row]]]
) -> Iterator[str]:
    """Name every record that is missing from its stream, duplicated, or in a stream where it does not belong."""
    for stream, places in expected.items():
        yield from (f"{stream}: {line}" for line in each_once(places, actual.get(stream, {})))


def own_rejects(seen: Observed) -> Iterator[str]:
    """Name every stream whose own rejects are not those of all rejects that name it."""
    for stream in STREAMS:
        own = sorted(row["delivery_key"] for row in seen.rejects if row["stream"] == stream)
        got = sorted(row["delivery_key"] for row in seen.own_rejects.get(stream, ()))
        if own != got:
            yield f"{stream}: expected the rejects {own}, found {got}"


def contents(plan: Plan, actual: Mapping[str, Mapping[Place, Sequence[Row]]]) -> Iterator[str]:
    """Name every field whose value differs from the published one."""
    messages = plan.messages
    for places in actual.values():
        for (number, position), rows in places.items():
            expected = _good(messages, number, position)
            if expected is None:
                continue
            for row in rows:
                yield from _differences(_named((number, position)), expected, row)


def _differences(name: str, expected: msgspec.Struct, row: Row) -> Iterator[str]:
    fields, kind = {field: value for field, value in row.items() if field not in ENVELOPE}, type(expected)
    try:
        record = msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        yield f"{name}: expected {kind.__name__}, found {fields} ({error})"
        return
    for field in kind.__struct_fields__:
        expected_value, got = getattr(expected, field), getattr(record, field)
        if field not in fields or expected_value != got:
            shown = got if field in fields else "no such member"
            yield f"{name}, {field}: expected {expected_value!r}, found {shown!r}"


def envelopes(plan: Plan, seen: Observed) -> Iterator[str]:
    """Name every envelope column, in records and rejects, that does not match Pub/Sub's metadata of the message."""
    messages = plan.messages
    for row in (*itertools.chain.from_iterable(seen.feeds.values()), *seen.rejects):
        number = int(row["attributes"][NUMBER])
        if number >= len(messages):
            continue
        message, name = messages[number], _named((number, row["message_index"]))
        columns = {
            "message_id": seen.message_ids.get(number),
            "attributes": message.attributes,
            "ordering_key": message.ordering_key or None,
            "subscription_name": seen.subscriptions["" if message.is_shared else message.stream],
        }
        for column, value in columns.items():
            if row.get(column) != value:
                yield f"{name}, {column}: expected {value!r}, found {row.get(column)!r}"
        for column in ("publish_time", "ingest_time"):
            if not row.get(column):
                yield f"{name}, {column}: expected a time, found {row.get(column)!r}"


def order(rows: Sequence[Row]) -> Iterator[str]:
    """Name every row that does not come after the one before it, by (ingest_time, delivery_key)."""
    keys = [(datetime.fromisoformat(row["ingest_time"]), row["delivery_key"]) for row in rows]
    for before, after in itertools.pairwise(keys):
        if not before < after:
            yield f"{after[1]} of {after[0]} follows {before[1]} of {before[0]}"


def rejections(plan: Plan, actual: Mapping[Place, Sequence[Row]]) -> Iterator[str]:
    """Name every reject whose stream, reason, field or bytes are not the expected ones."""
    messages = plan.messages
    for (number, position), rows in actual.items():
        bad = messages[number].bad.get(position) if number < len(messages) else None
        if bad is None:
            continue
        name = f"{_named((number, position))} ({messages[number].title})"
        for row in rows:
            if (row["reason"], row["field"]) != (bad.reason, bad.field):
                yield f"{name}: expected {bad.reason} at {bad.field}, found {row['reason']} at {row['field']}"
            if (row["stream"] or "") != messages[number].stream:
                yield f"{name}: expected the stream {messages[number].stream or None}, found {row['stream']}"
            if not row["detail"]:
                yield f"{name}: expected a detail, found none"
        payload = b"".join(base64.b64decode(row["payload"]) for row in sorted(rows, key=lambda row: int(row["part"])))
        if payload != bad.raw:
            yield f"{name}: expected the bytes {bad.raw!r}, found {payload!r}"


def redeliveries(plan: Plan, statuses: Mapping[int, int]) -> Iterator[str]:
    """Name every message whose second delivery was not made or not acknowledged."""
    for message in plan.messages:
        status = statuses.get(message.number)
        if message.redeliver and status != ACKNOWLEDGED:
            yield f"message {message.number}: expected {ACKNOWLEDGED}, found {status or 'no second delivery'}"


def left_over(seen: Observed) -> Iterator[str]:
    """Name every subscription that still holds messages, or gave some up."""
    for each in seen.backlogs:
        if each.num_undelivered_messages:
            yield f"{each.subscription}: expected an empty backlog, found {each.num_undelivered_messages} messages"
        if each.dead_letter_message_count:
            yield f"{each.subscription}: expected no dead letters, found {each.dead_letter_message_count}"


def _good(messages: Sequence[Planned], number: int, position: int) -> msgspec.Struct | None:
    return messages[number].good.get(position) if number < len(messages) else None


def _named(place: Place) -> str:
    return f"message {place[0]}, record {place[1]}"
