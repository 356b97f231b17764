"""The ledger notices what it is there for: evidence of a run without fault, spoilt in one way at a time."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.long.ledger import Answer, Evidence, Reading, Row, record_fields, reject_fields, violations
from tests.long.messages import Item, Message, make_messages

MESSAGES = [message for message in make_messages(3, 300) if message.way == "push"]


def row_of(message: Message, item: Item, number: int) -> Row:
    """Return what a feed returns of a record, the `number`-th of all."""
    place = {
        "delivery_key": message.delivery_key(item.index),
        "ingest_time": (datetime(2026, 2, 1, tzinfo=UTC) + timedelta(microseconds=number)).isoformat(),
    }
    if item.record is None:
        return reject_fields(item) | place | {"payload": base64.b64encode(item.raw).decode()}
    return record_fields(message, item) | place


def good() -> Any:
    """Return the evidence of a run in which every message was answered, and nothing went wrong."""
    items = [(message, item) for message in MESSAGES for item in message.items]
    rows = [(row_of(*each, number), each[1].record is None) for number, each in enumerate(items)]
    records, rejects = ([row for row, is_reject in rows if is_reject is wanted] for wanted in (False, True))
    return Evidence(
        messages=MESSAGES,
        answers=[Answer(message.number, 204) for message in MESSAGES],
        followed=Reading([*records], [*rejects]),
        reread=Reading([*records], [*rejects]),
        stored={row["delivery_key"]: 1 for row in records},
        stored_rejects={row["delivery_key"]: 2 for row in rejects},
    )


SPOILT: dict[str, Callable[[Any], Any]] = {
    "lost": lambda e: e.stored.popitem(),
    "missed": lambda e: e.followed.records.pop(),
    "vanished": lambda e: e.reread.records.pop(),
    "duplicate": lambda e: e.followed.records.append(e.followed.records[-1]),
    "out of order": lambda e: e.followed.records.insert(0, e.followed.records.pop()),
    "stranger": lambda e: e.reread.records[7].update(delivery_key="1:2:3"),
    "altered": lambda e: e.followed.records[7].update(data={"n": -1}),
    "misplaced": lambda e: e.reread.records.append(e.reread.rejects[0]),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_the_ledger_notices(kind: str) -> None:
    """Nothing is wrong with a run without fault, and whatever is spoilt is named by its kind."""
    evidence = good()
    assert violations(evidence) == []
    SPOILT[kind](evidence)
    assert kind in {violation.partition(":")[0] for violation in violations(evidence)}


def test_a_good_record_may_be_rejected_only_with_a_refused_one_of_its_message() -> None:
    """A message that the store refused whole has all records among the rejects; any other good record is misplaced."""
    refused = Item(1, b"{}", None, "refused")
    message = next(each for each in MESSAGES if len(each.items) == 1 and each.items[0].record is not None)
    for items, kinds in (((message.items[0], refused), set()), (message.items, {"lost", "misplaced"})):
        sent = msgspec.structs.replace(message, items=items)
        whole = [
            row_of(sent, msgspec.structs.replace(item, record=None, reason="refused"), n)
            for n, item in enumerate(items)
        ]
        reading = Reading([], whole)
        evidence = Evidence(
            messages=[sent],
            answers=[Answer(sent.number, 204)],
            followed=reading,
            reread=reading,
            stored={},
            stored_rejects={row["delivery_key"]: 1 for row in whole},
        )
        assert {violation.partition(":")[0] for violation in violations(evidence)} == kinds
