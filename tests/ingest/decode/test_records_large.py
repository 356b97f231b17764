"""Records that take many steps to read: each limit to the last value, and which record it concerns."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.decode.weight import weight
from app.schema.table import records_table
from tests.ingest.reading import LIMITS, finish
from tests.ingest.scripted import ScriptedAppender
from tests.ingest.test_heavy_messages import NDJSON, lines, message

ROOMY = msgspec.structs.replace(
    LIMITS, max_decompressed_bytes=10**7, max_message_bytes=10**7, max_record_bytes=10**6, max_batch_bytes=10**6
)
ONES = b"[%b]" % b",".join([b"1"] * 70_000)  # more than a small message may have
PER_AMOUNT = 25
"""What each item of a list of decimals counts for."""


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    """A record without punctuation in its strings, which a weight may or may not leave out."""

    data: Any


class Bill(msgspec.Struct, forbid_unknown_fields=True):
    """A record with a list whose items count several times."""

    amounts: list[Decimal]
    data: Any = None


def reader_of(record_type: type[msgspec.Struct] = Tree, /, **changed: int) -> RecordReader:
    """Return a reader with room for large records, with limits changed."""
    limits = msgspec.structs.replace(ROOMY, **changed)
    return RecordReader(records_table(record_type), ScriptedAppender().encoder, limits)


def tree(data: bytes) -> bytes:
    """Return a tree that holds `data`."""
    return b'{"data":%b}' % data


def bill(count: int, data: bytes = b"1") -> bytes:
    """Return a bill of so many amounts."""
    return b'{"amounts":[%b],"data":%b}' % (b",".join([b"1"] * count), data)


def weight_of(text: bytes) -> int:
    """Return the weight of JSON."""
    return finish(weight(text, 10**9))


def rejected(reading: Decoded, sent: Message) -> list[tuple[int, str, str, bytes]]:
    """Return the rejects of a message, without its rows."""
    assert all(each.message is sent for each in reading[1])
    return [(each.index, each.reason, each.detail, each.raw) for each in reading[1]]


def test_a_message_may_have_as_many_values_as_its_limit() -> None:
    """With one more it is a single reject that holds the bytes as they came, here compressed."""
    text = lines(tree(ONES), tree(ONES))
    sent, most = message(text, content_type=NDJSON), weight_of(text)
    rows, rejects = finish(reader_of(max_message_values=most).read(sent))
    assert (len(rows), rejects) == (2, [])
    reading = finish(reader_of(max_message_values=most - 1).read(sent))
    assert len(reading[0]) == 0
    assert rejected(reading, sent) == [(0, "too_complex", f"the message has more than {most - 1} values", sent.data)]


def test_a_record_may_have_as_many_values_as_its_limit() -> None:
    """With one more it is rejected, by its position and its own bytes; its neighbours are stored."""
    heavy = tree(ONES)
    sent = message(lines(tree(b"1"), heavy, tree(b"2")), content_type=NDJSON)
    most = weight_of(heavy)
    rows, rejects = finish(reader_of(max_record_values=most).read(sent))
    assert ([row.index for row in rows], rejects) == ([0, 1, 2], [])
    assert [msgspec.json.decode(row.encoded)["message_index"] for row in rows] == [0, 1, 2]
    reading = finish(reader_of(max_record_values=most - 1).read(sent))
    assert [row.index for row in reading[0]] == [0, 2]
    assert rejected(reading, sent) == [(1, "too_complex", f"the record has more than {most - 1} values", heavy)]


def test_a_lone_record_of_too_many_values_is_rejected_as_it_came() -> None:
    """Its compressed bytes are far fewer than those of the record."""
    sent, most = message(tree(ONES)), weight_of(tree(ONES)) - 1
    reading = finish(reader_of(max_record_values=most).read(sent))
    assert rejected(reading, sent) == [(0, "too_complex", f"the record has more than {most} values", sent.data)]


def test_typed_lists_count_on_top_of_the_json_of_a_large_tree() -> None:
    """Neither is too much by itself."""
    heavy = bill(6_000, ONES)
    sent, most = message(lines(bill(1), heavy), content_type=NDJSON), weight_of(heavy) + 6_000 * PER_AMOUNT
    rows, rejects = finish(reader_of(Bill, max_record_values=most).read(sent))
    assert (len(rows), rejects) == (2, [])
    reading = finish(reader_of(Bill, max_record_values=most - 1).read(sent))
    detail = f"the record has more than {most - 1} values, where values in typed lists count several times"
    assert rejected(reading, sent) == [(1, "too_complex", detail, heavy)]


@pytest.mark.parametrize("data", [b"1", ONES], ids=["small", "large"])
def test_the_typed_lists_of_a_message_may_reach_its_limit(data: bytes) -> None:
    """They count on top of the message's JSON, if that was weighed; with one value more, none of it is stored."""
    text = lines(bill(3, data), bill(4, data))
    sent, most = message(text, content_type=NDJSON), 7 * PER_AMOUNT + (weight_of(text) if data is ONES else 0)
    rows, rejects = finish(reader_of(Bill, max_message_values=most).read(sent))
    assert (len(rows), rejects) == (2, [])
    reading = finish(reader_of(Bill, max_message_values=most - 1).read(sent))
    assert len(reading[0]) == 0
    detail = f"the message has more than {most - 1} values, where values in typed lists count several times"
    assert rejected(reading, sent) == [(0, "too_complex", detail, sent.data)]


def test_a_large_record_that_is_too_deep_or_too_long_is_rejected_by_its_position() -> None:
    """The others are stored."""
    deep = tree(b"[%b]" % b",".join([b"[" * 500 + b"]" * 500] * 200))
    long = tree(b'"%b"' % (b"x" * 300_000))
    sent = message(lines(tree(b"1"), deep, tree(b"2"), long, tree(ONES)), content_type=NDJSON)
    reading = finish(reader_of(max_record_bytes=250_000).read(sent))
    assert [row.index for row in reading[0]] == [0, 2, 4]
    assert rejected(reading, sent) == [
        (1, "malformed", "nested too deeply: expected at most 500 levels", deep),
        (3, "too_large", f"{len(long)} bytes: expected at most 250000", long),
    ]


def test_weighing_a_large_record_holds_no_memory() -> None:
    """What is charged to a message is its text, and each row as it is made."""
    text, steps = lines(tree(ONES), tree(b"1")), list[int]()
    rows, _ = finish(reader_of().read(message(text, content_type=NDJSON)), steps)
    assert sum(steps) == len(text) + sum(map(len, rows.encoded))
