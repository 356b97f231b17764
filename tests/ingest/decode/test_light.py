"""Light messages: which they are, and the same outcome as any other, up to each limit."""

import gzip
from typing import Annotated, Any, ClassVar

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.decode.payload import SMALL_BYTES
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.decode.rejects import reject
from app.record import Record
from app.schema.table import records_table
from tests.ingest.reading import GOOD, LIMITS, rows_of
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
    rejects = [(each.index, each.reason, each.field, each.detail, each.raw) for each in reading.rejects]
    return rows_of(reading), rejects, reading.undeclared


def row_bytes(reader: RecordReader, data: bytes) -> int:
    """Return how many bytes the rows of a message have."""
    decoded = reader.read(message(data))
    assert not decoded.rejects
    return sum(map(len, decoded.rows.encoded))


COMMON: dict[str, tuple[type[msgspec.Struct], bytes, str]] = {
    "a record": (Record, record(), ""),
    "a record with a type": (Record, record(), "application/json; charset=utf-8"),
    "as large as a small message may be": (Record, sized(SMALL_BYTES), ""),
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


OTHERS: dict[str, tuple[type[msgspec.Struct], Message, list[str]]] = {
    "compressed": (Record, message(gzip.compress(GOOD, mtime=0), content_encoding="gzip"), []),
    "an array on a line": (Record, message(array(GOOD), NDJSON), ["invalid"]),
    "an array with a record that its checks refuse": (
        Nameless,
        message(b'[{"count":9223372036854775808}]'),
        ["invalid"],
    ),
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


LIGHT = {name: (each, message(data, kind), None) for name, (each, data, kind) in COMMON.items()} | OTHERS


@pytest.mark.parametrize(("record_type", "sent", "reasons"), LIGHT.values(), ids=[*LIGHT])
def test_a_light_message_is_read_as_any_other(
    record_type: type[msgspec.Struct], sent: Message, reasons: list[str] | None
) -> None:
    """With the same rows, rejects and undeclared members."""
    reader = reader_of(record_type)
    light, other = reader.read_light(sent), reader.read(sent)
    assert light is not None
    assert outcome(light) == outcome(other)
    assert reasons is None or [each.reason for each in light.rejects] == reasons


HEAVY: dict[str, Message] = {
    "large": message(sized(SMALL_BYTES + 1)),
    "large once it is inflated": message(gzip.compress(sized(SMALL_BYTES + 1), mtime=0), content_encoding="gzip"),
    "numbers that take long": message(record(data=b"[%b1]" % (b"1e308," * 15_000))),
    "many rejects": message(array(*[b"7"] * 101)),
    "many records that are read one by one": message(array(*[record()] * 2_000, b"7")),
}


@pytest.mark.parametrize("sent", HEAVY.values(), ids=[*HEAVY])
def test_whatever_may_take_long_is_not_light(sent: Message) -> None:
    """The event loop would be held."""
    assert reader_of(max_records_per_message=10**4, max_rejects_per_message=10**4).read_light(sent) is None


@pytest.mark.parametrize("many", [False, True])
def test_a_row_has_what_its_type_does_not_declare(*, many: bool) -> None:
    """In the column of the rest; a fault in it is the rest's, whose log line names no member."""
    data = b'{"name":"a","parts":[{},{"x":1}],"y":2}'
    decoded = reader_of(Keeping).read(message(array(data) if many else data))
    (row,) = rows_of(decoded)
    assert msgspec.json.decode(row.encoded)["rest"] == {"y": 2}
    assert decoded.undeclared == {"dropped": 1, "kept": 1}
    (bad,) = reader_of(Keeping).read(message(b'{"name":"a","y":[{},{"x":1e999}]}')).rejects
    assert (bad.reason, bad.field, bad.detail) == ("invalid", "rest", "Number out of range - at `$.y`")
    (bad,) = reader_of(Keeping).read(message(b'{"name":"a","rest":{"x":1}}')).rejects
    assert (bad.reason, bad.field) == ("invalid", "rest")


@pytest.mark.parametrize(
    ("record_type", "records"),
    [
        (Record, [record("a"), record("b", b"[[1]]")]),
        (Open, [b'{"name":"a"}', b'{"name":"b","x":1}']),
        (Keeping, [b'{"name":"a","parts":[{},{"x":1}],"y":2}', b'{"name":"b"}']),
        (Nameless, [b'{"count":1}', b'{"count":2}']),
    ],
)
def test_an_array_without_a_fault_is_read_at_once(record_type: type[msgspec.Struct], records: list[bytes]) -> None:
    """It costs a third of reading its records one by one, and the rows are the same."""
    reader = reader_of(record_type)
    lines = message(b"\n".join(records), NDJSON)
    one_by_one = outcome(reader.read(lines))
    reader._read_each = None  # type: ignore[assignment,method-assign] # nothing is read one by one from now on
    with pytest.raises(TypeError):
        reader.read(lines)
    assert outcome(reader.read(message(array(*records)))) == one_by_one


def test_an_array_may_have_as_many_records_as_its_limit() -> None:
    """However long they are; with one more the message is rejected as a whole."""
    reader = reader_of(max_records_per_message=2)
    long = b'"%b"' % (b"x" * 500)
    assert [row.id for row in rows_of(reader.read(message(array(record("a", long), record("b", long)))))] == ["a", "b"]
    more = message(array(record("a"), record("b"), record("c")))
    decoded = reader.read(more)
    (rejected,) = decoded.rejects
    assert (len(decoded.rows), rejected.reason, rejected.raw) == (0, "too_many_records", more.data)
    assert rejected.detail == "more than 2 records in one message"


def test_an_array_larger_than_a_record_may_be_is_read_record_by_record() -> None:
    """So each is held to its own limit."""
    data = array(record("a"), record("b", b'"%b"' % (b"x" * 100)))
    decoded = reader_of(max_record_bytes=len(record("a"))).read(message(data))
    assert ([row.id for row in rows_of(decoded)], [each.index for each in decoded.rejects]) == (["a"], [1])


@pytest.mark.parametrize("limit", ["max_message_bytes", "max_batch_bytes"])
def test_the_rows_of_an_array_may_fill_a_message_or_an_append_to_the_last_byte(limit: str) -> None:
    """With one byte more, a message is too large, and several appends share the rows."""
    data = array(record("a"), record("b"), record("c"))
    size = row_bytes(reader_of(), data)
    assert len(reader_of(**{limit: size}).read(message(data)).rows) == 3
    decoded = reader_of(**{limit: size - 1}).read(message(data))
    if limit == "max_batch_bytes":
        assert (len(decoded.rows), decoded.rejects) == (3, [])
    else:
        assert (len(decoded.rows), [each.reason for each in decoded.rejects]) == (0, ["too_large"])


def test_the_row_of_one_record_may_fill_a_message_to_the_last_byte() -> None:
    """With one byte more it is rejected."""
    size = row_bytes(reader_of(), record())
    light = reader_of(max_message_bytes=size).read_light(message(record()))
    assert light is not None
    assert len(light.rows) == 1
    decoded = reader_of(max_message_bytes=size - 1).read_light(message(record()))
    assert decoded is not None
    (rejected,) = decoded.rejects
    assert (len(decoded.rows), rejected.reason) == (0, "too_large")
    assert rejected.detail == f"the message has more than {size - 1} bytes as rows, envelopes included"


def test_a_record_and_its_row_may_be_as_large_as_their_limits() -> None:
    """A byte beyond either is the record's fault, in words that name both sizes."""
    size, sent = row_bytes(reader_of(), record()), message(record())
    for limits in ({"max_record_bytes": len(record())}, {"max_batch_bytes": size}):
        decoded = reader_of(**limits).read(sent)
        assert (len(decoded.rows), decoded.rejects) == (1, [])
    for limits, detail in (
        ({"max_record_bytes": len(record()) - 1}, f"{len(record())} bytes: expected at most {len(record()) - 1}"),
        ({"max_batch_bytes": size - 1}, f"{size} bytes as a row: expected at most {size - 1}"),
    ):
        decoded = reader_of(**limits).read(sent)
        (rejected,) = decoded.rejects
        assert (len(decoded.rows), rejected.reason, rejected.detail) == (0, "too_large", detail)


def test_a_large_record_that_is_too_deep_or_too_long_is_rejected_by_its_position() -> None:
    """The others are stored; the record itself is a level, and so is the list around the others."""
    deep = [record(data=b"[%b]" % b",".join([nested(levels)] * 200)) for levels in (498, 499)]
    long = record(data=b'"%b"' % (b"x" * 300_000))
    decoded = reader_of(max_record_bytes=250_000).read(message(b"\n".join([record(), *deep, long]), NDJSON))
    assert [row.index for row in rows_of(decoded)] == [0, 1]
    assert [(each.index, each.reason, each.detail, each.raw) for each in decoded.rejects] == [
        (2, "malformed", "nested too deeply: expected at most 500 levels", deep[1]),
        (3, "too_large", f"{len(long)} bytes: expected at most 250000", long),
    ]


@pytest.mark.parametrize("zipped", [False, True])
def test_rows_that_the_store_refuses_are_found_again_in_their_message(*, zipped: bool) -> None:
    """With their bytes; as one reject where they are more than allowed, or too large."""
    records = [record(str(number)) for number in range(9)]
    data = gzip.compress(array(*records), mtime=0) if zipped else array(*records)
    sent = message(data, content_encoding="gzip") if zipped else message(data)
    reader = reader_of()
    assert reader.is_small(sent) is not zipped
    refused = [reject(2, "refused", "no", raw=b"", field="data"), reject(5, "refused", "no", raw=b"")]
    single = reader.rejects_of(sent, refused, 2)
    assert [(each.index, each.reason, each.field, each.raw) for each in single] == [
        (2, "refused", "data", records[2]),
        (5, "refused", None, records[5]),
    ]
    (one,) = reader.rejects_of(sent, refused, 1)
    assert (one.reason, one.raw) == ("too_many_rejects", array(records[2], records[5]))
    assert len(reader_of(max_message_bytes=100).rejects_of(sent, refused, 2)) == 1


def test_what_was_too_complex_is_one_reject_with_its_bytes() -> None:
    """Unless they may be personal."""
    decoded = reader_of().too_complex(message(b"[["), "more than 1 s")
    (rejected,) = decoded.rejects
    assert (rejected.index, rejected.reason, rejected.detail, rejected.raw) == (
        0,
        "too_complex",
        "more than 1 s",
        b"[[",
    )
    assert (len(decoded.rows), rejected.state) == (0, "")
    personal = msgspec.structs.replace(message(b"[["), may_be_personal=True)
    (withheld,) = reader_of().too_complex(personal, "more than 1 s").rejects
    assert (withheld.raw, withheld.state) == (b"", "withheld")


def test_rows_go_without_some_of_them() -> None:
    """Each with its id and its position."""
    rows = reader_of().read(message(array(record("a"), record("b"), record("c")))).rows
    rest = rows.without({1})
    assert [*rest.by_index()] == [(0, "a"), (2, "c")]
    assert rest.encoded == [rows.encoded[0], rows.encoded[2]]
