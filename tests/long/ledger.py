"""Compare what was sent, answered, read and stored. Pure: evidence in, what is wrong with it out, in words."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from tests.long.messages import Item, Message

MAX_STOP_S = 10.0
Row = dict[str, Any]


class RecordAnswer(msgspec.Struct, frozen=True):
    """What the answer to a POST has of one record."""

    index: int
    status: str
    delivery_key: str
    id: str | None = None
    reason: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """An answer by which a message is durable: the status, and the outcome of each record if the answer has it."""

    number: int
    status: int
    records: tuple[RecordAnswer, ...] = ()


class Stop(msgspec.Struct, frozen=True):
    """How an instance ended that was asked to by SIGTERM."""

    instance: int
    status: int
    seconds: float


class Reading(msgspec.Struct, frozen=True):
    """What one walk through both feeds returned, in its order."""

    records: Sequence[Row]
    rejects: Sequence[Row]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known at the end of a run: `followed` while it went on, `reread` afterwards from the beginning.

    `stored` and `stored_rejects` count the rows of the tables themselves by delivery key.
    """

    messages: Sequence[Message]
    answers: Sequence[Answer]
    followed: Reading
    reread: Reading
    stored: Mapping[str, int]
    stored_rejects: Mapping[str, int]
    stops: Sequence[Stop] = ()


def violations(evidence: Evidence) -> list[str]:
    """Return everything that is wrong, one sentence each; nothing when every promise was kept."""
    expected = _Expected(evidence)
    found = [*_stops(evidence.stops), *_cross_answers(evidence.messages, evidence.answers)]
    found += expected.lost("the table", evidence.stored, rejects=False)
    found += expected.lost("the rejects table", evidence.stored_rejects, rejects=True)
    for how, reading in (("followed", evidence.followed), ("read again", evidence.reread)):
        for kind, rows, rejects in (("records", reading.records, False), ("rejects", reading.rejects, True)):
            where = f"the {kind} {how}"
            found += expected.lost(where, {row["delivery_key"] for row in rows}, rejects=rejects)
            found += expected.content(where, rows, rejects=rejects)
            found += _once(where, rows)
    found += _same("records", evidence.followed.records, evidence.reread.records)
    found += _same("rejects", evidence.followed.rejects, evidence.reread.rejects)
    return found


class _Expected:
    """What was sent, by the key it must be stored under (a push), or by the answer is (a POST)."""

    def __init__(self, evidence: Evidence) -> None:
        self._answered = {answer.number for answer in evidence.answers}
        keys = {(a.number, each.index): each.delivery_key for a in evidence.answers for each in a.records}
        self._by_key: dict[str, tuple[Message, Item]] = {}
        self._rejects = evidence.stored_rejects
        self._open_posts = False
        for message in evidence.messages:
            for item in message.items:
                if message.way == "push":
                    self._by_key[message.delivery_key(item.index)] = (message, item)
                elif message.number in self._answered:
                    self._by_key[keys.get((message.number, item.index), "")] = (message, item)
                else:
                    self._open_posts = True  # no answer has their keys, and they may be stored

    def lost(self, where: str, keys: Collection[str], *, rejects: bool) -> Iterator[str]:
        """Yield what was answered and is not among `keys`."""
        for key, (message, item) in self._by_key.items():
            is_due = message.number in self._answered and (self._reason(key) is not None) is rejects
            if is_due and key not in keys:
                name = f"record {item.index} of message {message.number}"
                yield f"lost: {name} ({self._reason(key) or 'good'}, {key}) was answered and is not in {where}"

    def content(self, where: str, rows: Sequence[Row], *, rejects: bool) -> Iterator[str]:
        """Yield the rows that nobody sent, or that are not as they were sent."""
        for row in rows:
            key = row["delivery_key"]
            if key not in self._by_key:
                if not (self._open_posts and key.startswith("http:")):
                    yield f"stranger: {where} have {key}, which nobody sent"
                continue
            message, item = self._by_key[key]
            name, reason = f"record {item.index} of message {message.number}", self._reason(key)
            # Of two deliveries, one may have been stored and the other rejected.
            if (reason is not None) is not rejects and (item.reason is not None or rejects):
                yield f"misplaced: {where} have {name}, which is {item.reason or 'good'}"
                continue
            wanted = reject_fields(item, reason) if rejects else record_fields(message, item)
            for field, value in wanted.items():
                if _differs(field, row[field], value):
                    yield f"altered: in {where} {name} has {field} {row[field]!r}, sent was {value!r}"

    def _reason(self, key: str) -> str | None:
        """Return why a record was rejected, or None.

        A message that the store refused twice without naming a row is rejected whole, so its good records may be too
        (docs/limits.md).
        """
        message, item = self._by_key[key]
        is_whole = key in self._rejects and has_refused(message)
        return "refused" if item.reason is None and is_whole else item.reason


def has_refused(message: Message) -> bool:
    """Return whether the store refuses a row of a message."""
    return any(item.reason == "refused" for item in message.items)


def record_fields(message: Message, item: Item) -> dict[str, Any]:
    """Return what a row of a record has to have."""
    record = item.record or {}
    pushed = message.way == "push"
    return {
        "id": record["id"],
        "timestamp": record["timestamp"],
        "source": record.get("source"),
        "data": record["data"],
        "message_index": item.index,
        "message_id": message.message_id if pushed else None,
        "publish_time": message.publish_time.isoformat() if pushed else None,
        "attributes": message.attributes if pushed else {},
    }


def reject_fields(item: Item, reason: str | None = None) -> dict[str, Any]:
    """Return what a row of a reject has to have."""
    return {"reason": reason or item.reason, "payload": item.raw, "message_index": item.index, "part": 0, "parts": 1}


def _differs(field: str, found: Any, wanted: Any) -> bool:
    if field in {"timestamp", "publish_time"} and wanted is not None and found is not None:
        return datetime.fromisoformat(found) != datetime.fromisoformat(wanted)
    return bool((_bytes(found) if field == "payload" else found) != wanted)


def _bytes(text: str) -> bytes:
    return msgspec.convert(text, bytes)


def _once(where: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield what a feed returned more than once, or out of its order."""
    for name in ("delivery_key", "id"):
        counted = Counter(row[name] for row in rows if name in row)
        for value, count in counted.items():
            if count > 1:
                yield f"duplicate: {where} have {name} {value} {count} times"
    places = [_place(row) for row in rows]
    for earlier, later in pairwise(places):
        if not earlier < later:
            yield f"out of order: {where} have {later} after {earlier}"


def _same(name: str, followed: Sequence[Row], reread: Sequence[Row]) -> Iterator[str]:
    """Yield where the feed was not the same to one who followed it as to one who came later."""
    first, second = {_place(row) for row in followed}, {_place(row) for row in reread}
    for place in sorted(first - second):
        yield f"vanished: the followed {name} had {place}, and those read again do not"
    for place in sorted(second - first):
        yield f"missed: whoever followed the {name} did not get {place}, which is there when they are read again"


def _place(row: Row) -> tuple[datetime, str]:
    return datetime.fromisoformat(row["ingest_time"]), row["delivery_key"]


def _cross_answers(messages: Sequence[Message], answers: Sequence[Answer]) -> Iterator[str]:
    """Yield where the answer to a POST has records that are not its own, or is wrong about them."""
    by_number = {message.number: message for message in messages}
    places: dict[str, tuple[int, int]] = {}
    keys: dict[tuple[int, int], str] = {}
    for answer in answers:
        message = by_number[answer.number]
        if message.way == "push":
            continue
        if [each.index for each in answer.records] != [item.index for item in message.items]:
            yield f"cross-answer: message {answer.number} was answered {[each.index for each in answer.records]}"
            continue
        for each, item in zip(answer.records, message.items, strict=True):
            place, name = (answer.number, each.index), f"record {each.index} of message {answer.number}"
            fate = ("rejected", item.reason, None) if item.record is None else ("stored", None, item.record["id"])
            is_whole = has_refused(message) and (each.status, each.reason) == ("rejected", "refused")
            if (each.status, each.reason, each.id) != fate and not is_whole:
                yield f"cross-answer: {name} was answered {each.status, each.reason, each.id}, it is {fate}"
            if places.setdefault(each.delivery_key, place) != place:
                yield f"cross-answer: {name} was answered the key of {places[each.delivery_key]}"
            if keys.setdefault(place, each.delivery_key) != each.delivery_key:
                yield f"cross-answer: {name} was answered two keys"


def _stops(stops: Iterable[Stop]) -> Iterator[str]:
    for stop in stops:
        if stop.status:
            yield f"stop: instance {stop.instance} ended with status {stop.status} after SIGTERM"
        if stop.seconds > MAX_STOP_S:
            yield f"stop: instance {stop.instance} took {stop.seconds:.1f} s to end after SIGTERM"
