"""Decoded a small message at once: which messages are, and the same outcome as the steps, up to each limit."""

import gzip
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.decode.weight import SMALL_BYTES
from app.record import Record
from app.schema.table import records_table
from tests.ingest.reading import GOOD, LIMITS, finish
from tests.ingest.scripted import ScriptedAppender

ROOMY = msgspec.structs.replace(
    LIMITS, max_record_bytes=10**6, max_batch_bytes=10**6, max_message_bytes=10**6, max_decompressed_bytes=10**6
)
NDJSON = "application/x-ndjson"


class Open(msgspec.Struct):
    """A record that drops undeclared members."""

    undeclared: ClassVar = "drop"
    name: str


class Part(msgspec.Struct):
    """A part of a record, which drops undeclared members."""

    undeclared: ClassVar = "drop"
    code: str = ""


class Keeping(msgspec.Struct):
    """A record that keeps undeclared members."""

    name: str
    parts: list[Part] = []
    rest: Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest"]})] = {}


class Nameless(msgspec.Struct, forbid_unknown_fields=True):
    """A record without an id."""

    count: Annotated[int, msgspec.Meta(ge=0)]


def reader_of(record_type: type[msgspec.Struct] = Record, /, **changed: int) -> RecordReader:
    """Return a reader with room for large records, with limits changed."""
    limits = msgspec.structs.replace(ROOMY, **changed)
    return RecordReader(records_table(record_type), ScriptedAppender().encoder, limits)


def message(data: bytes, content_type: str = "", content_encoding: str = "") -> Message:
    """Return a message with an envelope of its own."""
    return Message(
        key="1:0",
        data=data,
        content_type=content_type,
        content_encoding=content_encoding,
        message_id="1",
        attributes={"k": "v"},
    )


def record(name: str = "a", data: bytes = b"1") -> bytes:
    """Return a record of the default type."""
    return b'{"id":"%b","timestamp":"2026-01-31T12:00:00Z","data":%b}' % (name.encode(), data)


def array(*records: bytes) -> bytes:
    """Return a JSON array of records."""
    return b"[" + b",".join(records) + b"]"


def sized(size: int) -> bytes:
    """Return a record of exactly so many bytes."""
    return record(data=b'"%b"' % (b"x" * (size - len(record(data=b'""')))))


def nested(levels: int) -> bytes:
    """Return JSON with so many levels."""
    return b"[" * levels + b"]" * levels


def outcome(reading: Decoded) -> Any:
    """Return what a reading says, as plain values."""
    rows, rejects = reading
    noted = [row.index in rows.with_undeclared for row in rows]
    return (
        [*rows],
        noted,
        [(each.message.key, each.index, each.reason, each.field, each.detail, each.raw) for each in rejects],
    )


def row_bytes(reader: RecordReader, data: bytes) -> int:
    """Return how many bytes the rows of a message have."""
    rows, rejects = finish(reader.read(message(data)))
    assert not rejects
    return sum(map(len, rows.encoded))


COMMON: dict[str, tuple[type[msgspec.Struct], bytes, str]] = {
    "a record": (Record, record(), ""),
    "a record with a type": (Record, record(), "application/json; charset=utf-8"),
    "a record that is not JSON": (Record, b'{"id":', ""),
    "as large as a small message may be": (Record, sized(SMALL_BYTES), ""),
    "an array": (Record, array(record("a"), record("b"), record("c")), ""),
    "an array with a type": (Record, array(record("a"), record("b")), "application/json"),
    "an array with a long row": (Record, array(record("a", b'"%b"' % (b"x" * 2_000)), record("b")), ""),
    "an array of records as deep as its own level allows": (Record, array(record("a", nested(498))), ""),
    "an empty array": (Record, b"[]", ""),
    "an array without ids": (Nameless, array(b'{"count":1}', b'{"count":2}'), ""),
    "a record with a rest": (Keeping, b'{"name":"a","parts":[{"x":1}],"y":[2]}', ""),
    "a record with an empty rest": (Keeping, b'{"name":"a","rest":{}}', ""),
    "a record whose rest is not UTF-8": (Keeping, b'{"name":"a","x":"\xff"}', ""),
    "an array of which some have a rest": (
        Keeping,
        array(b'{"name":"a"}', b'{"name":"b","parts":[{},{"x":1}]}', b'{"name":"c"}', b'{"name":"d","y":{"z":1e3}}'),
        "",
    ),
    "an array of which none has a rest": (Keeping, array(b'{"name":"a","parts":[{}]}', b'{"name":"b","rest":{}}'), ""),
    "an array whose types drop members": (Open, array(b'{"name":"a","more":[1]}'), ""),
}


@pytest.mark.parametrize(("record_type", "data", "content_type"), COMMON.values(), ids=[*COMMON])
def test_a_common_message_is_read_at_once(record_type: type[msgspec.Struct], data: bytes, content_type: str) -> None:
    """With the rows and the rejects that the steps would return."""
    reader, sent = reader_of(record_type), message(data, content_type)
    at_once = reader.read_at_once(sent)
    assert at_once is not None
    assert outcome(at_once) == outcome(finish(reader.read(sent)))


OTHERS: dict[str, tuple[type[msgspec.Struct], Message, list[str]]] = {
    "compressed": (Record, message(gzip.compress(GOOD, mtime=0), content_encoding="gzip"), []),
    "more than a step can read": (Record, message(sized(SMALL_BYTES + 1)), []),
    "a bad record": (Record, message(b'{"id":1}'), ["invalid"]),
    "one line": (Record, message(GOOD, NDJSON), []),
    "two lines": (Record, message(GOOD + b"\n" + GOOD, NDJSON), []),
    "an array on a line": (Record, message(array(GOOD), NDJSON), ["invalid"]),
    "an array with a bad record": (Record, message(array(GOOD, b"7")), ["invalid"]),
    "an array with a record that its checks refuse": (
        Nameless,
        message(b'[{"count":9223372036854775808}]'),
        ["invalid"],
    ),
    "an array that is not closed": (Record, message(b"[" + GOOD), ["malformed"]),
    "an array that is too deep": (Record, message(array(record(data=nested(500)))), ["malformed"]),
    "an array with a dropped member that is too deep": (
        Open,
        message(array(b'{"name":"a","more":%b}' % nested(500))),
        ["malformed"],
    ),
    "a record that was sent with a rest": (Keeping, message(b'{"name":"a","rest":{"x":1}}'), ["invalid"]),
    "a record with a rest that is out of range": (
        Keeping,
        message(b'{"name":"a","parts":[{}],"x":[1e999]}'),
        ["invalid"],
    ),
    "an array with a record that was sent with a rest": (
        Keeping,
        message(array(b'{"name":"a"}', b'{"name":"b","rest":{"x":1}}')),
        ["invalid"],
    ),
    "an array with a rest that is too deep": (
        Keeping,
        message(array(b'{"name":"a","more":%b}' % nested(500))),
        ["malformed"],
    ),
    "an array with a rest that is out of range": (Keeping, message(array(b'{"name":"a","x":1e999}')), ["invalid"]),
    "an array with a rest that is not UTF-8": (Keeping, message(array(b'{"name":"a","x":"\xff"}')), ["malformed"]),
    "an array whose own level is one too many": (Record, message(array(record(data=nested(499)))), []),
}


@pytest.mark.parametrize(("record_type", "sent", "reasons"), OTHERS.values(), ids=[*OTHERS])
def test_any_other_message_is_left_to_the_steps(
    record_type: type[msgspec.Struct], sent: Message, reasons: list[str]
) -> None:
    """They name the record that is at fault, and leave the event loop its turns."""
    reader = reader_of(record_type)
    assert reader.read_at_once(sent) is None
    _, rejects = finish(reader.read(sent))
    assert [each.reason for each in rejects] == reasons


@pytest.mark.parametrize("many", [False, True])
def test_a_row_has_what_its_type_does_not_declare(*, many: bool) -> None:
    """In the column of the rest; a fault in it is the rest's, whose log line names no member."""
    data = b'{"name":"a","parts":[{},{"x":1}],"y":2}'
    reading = reader_of(Keeping).read_at_once(message(array(data) if many else data))
    assert reading is not None
    (row,) = reading[0]
    assert msgspec.json.decode(row.encoded)["rest"] == {"y": 2}
    _, rejects = finish(reader_of(Keeping).read(message(b'{"name":"a","y":[{},{"x":1e999}]}')))
    assert [(each.reason, each.field, each.detail) for each in rejects] == [
        ("invalid", "rest", "Number out of range - at `$.y`")
    ]
    _, rejects = finish(reader_of(Keeping).read(message(b'{"name":"a","rest":{"x":1}}')))
    assert [(each.reason, each.field) for each in rejects] == [("invalid", "rest")]


def test_undeclared_members_count_several_times() -> None:
    """In a record and in a message; an array of many is read in steps, with the same outcome."""
    data = b'{"name":"a",%b}' % b",".join(b'"x%d":1' % number for number in range(10))
    for most, reasons in ((400, []), (399, ["too_complex"])):
        _, rejects = finish(reader_of(Keeping, max_record_values=most).read(message(data)))
        assert [each.reason for each in rejects] == reasons
    reader = reader_of(Keeping, max_message_values=1_199)
    rows, (rejected,) = finish(reader.read(message(data + b"\n" + data + b"\n" + data, NDJSON)))
    assert (len(rows), rejected.reason) == (0, "too_complex")
    large = message(array(*[data] * 101))
    reader = reader_of(Keeping, max_records_per_message=200)
    assert reader.read_at_once(large) is None
    rows, rejects = finish(reader.read(large))
    assert (len(rows), rejects, all(row.index in rows.with_undeclared for row in rows)) == (101, [], True)
    fewer = rows.without({0, 1})
    assert [row.index in fewer.with_undeclared for row in fewer] == [True] * 99


def test_an_array_at_the_limit_of_records_is_read_at_once() -> None:
    """However long they are; with one more the message is rejected as a whole."""
    reader = reader_of(max_records_per_message=2)
    long = b'"%b"' % (b"x" * 500)
    at_once = reader.read_at_once(message(array(record("a", long), record("b", long))))
    assert at_once is not None
    assert [row.id for row in at_once[0]] == ["a", "b"]
    more = message(array(record("a"), record("b"), record("c")))
    assert reader.read_at_once(more) is None
    rows, (rejected,) = finish(reader.read(more))
    assert (len(rows), rejected.reason, rejected.raw) == (0, "too_many_records", more.data)
    assert rejected.detail == "more than 2 records in one message"


def test_an_array_as_large_as_a_record_may_be_is_read_at_once() -> None:
    """A larger one is read record by record, so that each is held to its own limit."""
    data = array(record("a"), record("b"))
    assert reader_of(max_record_bytes=len(data)).read_at_once(message(data)) is not None
    reader = reader_of(max_record_bytes=len(data) - 1)
    assert reader.read_at_once(message(data)) is None
    assert len(finish(reader.read(message(data)))[0]) == 2


@pytest.mark.parametrize("limit", ["max_message_bytes", "max_batch_bytes"])
def test_the_rows_of_an_array_may_fill_a_message_or_an_append_to_the_last_byte(limit: str) -> None:
    """Beyond that the steps decide: a message has a limit, and several appends may share one."""
    data = array(record("a"), record("b"), record("c"))
    size = row_bytes(reader_of(), data)
    at_once = reader_of(**{limit: size}).read_at_once(message(data))
    assert at_once is not None
    assert len(at_once[0]) == 3
    reader = reader_of(**{limit: size - 1})
    assert reader.read_at_once(message(data)) is None
    rows, rejects = finish(reader.read(message(data)))
    if limit == "max_batch_bytes":
        assert (len(rows), rejects) == (3, [])
    else:
        assert (len(rows), [each.reason for each in rejects]) == (0, ["too_large"])


def test_the_row_of_one_record_may_fill_a_message_to_the_last_byte() -> None:
    """With one byte more it is rejected, whichever way it is read."""
    size = row_bytes(reader_of(), record())
    at_once = reader_of(max_message_bytes=size).read_at_once(message(record()))
    assert at_once is not None
    assert len(at_once[0]) == 1
    reader = reader_of(max_message_bytes=size - 1)
    assert reader.read_at_once(message(record())) is None
    rows, (rejected,) = finish(reader.read(message(record())))
    assert (len(rows), rejected.reason) == (0, "too_large")
    assert rejected.detail == f"the message has more than {size - 1} bytes as rows, envelopes included"


def test_a_record_and_its_row_may_be_as_large_as_their_limits() -> None:
    """A byte beyond either is the record's fault, in words that name both sizes."""
    size, sent = row_bytes(reader_of(), record()), message(record())
    for limits in ({"max_record_bytes": len(record())}, {"max_batch_bytes": size}):
        rows, rejects = finish(reader_of(**limits).read(sent))
        assert (len(rows), rejects) == (1, [])
    for limits, detail in (
        ({"max_record_bytes": len(record()) - 1}, f"{len(record())} bytes: expected at most {len(record()) - 1}"),
        ({"max_batch_bytes": size - 1}, f"{size} bytes as a row: expected at most {size - 1}"),
    ):
        at_once = reader_of(**limits).read_at_once(sent)
        assert at_once is not None
        rows, (rejected,) = at_once
        assert (len(rows), rejected.reason, rejected.detail, rejected.message is sent) == (0, "too_large", detail, True)
