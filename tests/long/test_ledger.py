"""The ledger notices what it is there for: evidence of a run without fault, spoilt in one way at a time."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.long.ledger import Answer, Evidence, Reading, RecordAnswer, Row, Stop, violations
from tests.long.messages import SUBSCRIPTION, Item, Message, make_messages

MESSAGES = make_messages(3, 1_000)
PUSHED = next(m for m in MESSAGES if m.way == "push" and len(m.items) == 1 and m.items[0].record)
POISON = next(m for m in MESSAGES if m.way == "push" and m.items[0].reason == "invalid")
POSTED = next(m for m in MESSAGES if m.way == "post" and len(m.items) > 1)


def key_of(message: Message, item: Item) -> str:
    """Return the key that a service of these tests stores a record under."""
    pushed = message.way == "push"
    return message.delivery_key(item.index) if pushed else f"http:{message.number}:{item.index}"


def row_of(message: Message, item: Item, number: int) -> Row:
    """Return what a feed returns of a record, the `number`-th of all."""
    pushed = message.way == "push"
    envelope = {
        "subscription_name": SUBSCRIPTION if pushed else None,
        "message_id": message.message_id if pushed else None,
        "publish_time": message.publish_time.isoformat() if pushed else None,
        "attributes": message.attributes if pushed else {},
        "message_index": item.index,
        "delivery_key": key_of(message, item),
        "ingest_time": (datetime(2026, 2, 1, tzinfo=UTC) + timedelta(microseconds=number)).isoformat(),
    }
    if item.record is None:
        payload = base64.b64encode(item.raw).decode()
        return envelope | {"reason": item.reason, "payload": payload, "part": 0, "parts": 1}
    return envelope | {"source": None} | item.record


def answer_of(message: Message, item: Item) -> RecordAnswer:
    """Return what the answer to a POST has of a record."""
    if item.record is None:
        return RecordAnswer(item.index, "rejected", key_of(message, item), reason=item.reason)
    return RecordAnswer(item.index, "stored", key_of(message, item), item.record["id"])


def good() -> Evidence:
    """Return the evidence of a run in which every message was answered, and nothing went wrong."""
    rows = [
        (row_of(message, item, number), item.record is None)
        for number, (message, item) in enumerate((m, item) for m in MESSAGES for item in m.items)
    ]
    records, rejects = ([row for row, is_reject in rows if is_reject is wanted] for wanted in (False, True))
    return Evidence(
        messages=MESSAGES,
        answers=[
            Answer(m.number, 204) if m.way == "push" else Answer(m.number, 207, tuple(answer_of(m, i) for i in m.items))
            for m in MESSAGES
        ],
        followed=Reading(list(records), list(rejects)),
        reread=Reading(list(records), list(rejects)),
        stored={row["delivery_key"]: 1 for row in records},
        stored_rejects={row["delivery_key"]: 2 for row in rejects},
        stops=[Stop(0, 0, 9.9)],
    )


def place_of(rows: Any, message: Message, index: int = 0) -> int:
    """Return where a record stands in a feed."""
    key = key_of(message, message.items[index])
    return next(position for position, row in enumerate(rows) if row["delivery_key"] == key)


def change(rows: Any, message: Message, **values: Any) -> None:
    """Change a message's first record in a feed."""
    position = place_of(rows, message)
    rows[position] = rows[position] | values


def change_answer(evidence: Any, **values: Any) -> None:
    """Change what the answer to the POST has of its first record."""
    position = next(place for place, answer in enumerate(evidence.answers) if answer.number == POSTED.number)
    answer = evidence.answers[position]
    records = (msgspec.structs.replace(answer.records[0], **values), *answer.records[1:])
    evidence.answers[position] = msgspec.structs.replace(answer, records=records)


def swap(rows: Any) -> None:
    """Exchange two neighbours of a feed."""
    rows[3], rows[4] = rows[4], rows[3]


SPOILT: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "a row that is not in the table": ("lost", lambda e: e.stored.pop(key_of(PUSHED, PUSHED.items[0]))),
    "a record the follower never got": (
        "missed",
        lambda e: e.followed.records.pop(place_of(e.followed.records, PUSHED)),
    ),
    "a record that is gone later": ("vanished", lambda e: e.reread.records.pop(place_of(e.reread.records, PUSHED))),
    "a record twice": ("duplicate", lambda e: e.followed.records.append(e.followed.records[-1])),
    "rows out of order": ("out of order", lambda e: swap(e.followed.records)),
    "a record nobody sent": ("stranger", lambda e: change(e.reread.records, PUSHED, delivery_key="1:2:3")),
    "other data": ("altered", lambda e: change(e.followed.records, PUSHED, data={"n": -1})),
    "poison among the records": (
        "misplaced",
        lambda e: e.reread.records.append(row_of(POISON, POISON.items[0], 10**6)),
    ),
    "the key of another's record": (
        "cross-answer",
        lambda e: change_answer(e, delivery_key=answer_of(POSTED, POSTED.items[1]).delivery_key),
    ),
    "a late SIGTERM": ("stop", lambda e: e.stops.append(Stop(1, 0, 10.1))),
}


def test_a_run_without_fault_has_no_violations() -> None:
    """Every promise was kept, so nothing is wrong."""
    assert violations(good()) == []


@pytest.mark.parametrize("spoilt", SPOILT)
def test_the_ledger_notices(spoilt: str) -> None:
    """Whatever was spoilt is named by its kind."""
    kind, spoil = SPOILT[spoilt]
    evidence = good()
    spoil(evidence)
    assert kind in {violation.partition(":")[0] for violation in violations(evidence)}


def test_what_was_not_answered_may_be_missing() -> None:
    """A message without an answer is nobody's promise."""
    evidence: Any = good()
    gone = [key_of(PUSHED, PUSHED.items[0])]
    for reading in (evidence.followed, evidence.reread):
        reading.records[:] = [row for row in reading.records if row["delivery_key"] not in gone]
    assert violations(evidence) != []
    evidence.answers[:] = [answer for answer in evidence.answers if answer.number != PUSHED.number]
    assert violations(evidence) == []
