"""Reading a message in one pass: the same outcome as a slow twin that decodes record by record, at any size."""

import gzip
import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.ingest.decode.faults import MAX_EXAMINED, FaultFinder
from app.ingest.decode.payload import Pieces, Unreadable, malformed_detail, pieces_of
from app.ingest.decode.reader import Decoded, RecordReader
from app.ingest.decode.rejects import Reject, with_faults
from app.record import Record
from app.schema.table import records_table
from tests.ingest.reading import LIMITS, Row, decode, rows_of
from tests.ingest.scripted import ScriptedAppender

_array = msgspec.json.Decoder(list[msgspec.Raw])
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet='ab"\\,[]{} \té\n', max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=15,
)
_RECORDS = st.one_of(
    _VALUES,
    st.builds(lambda data: {"id": "a", "timestamp": "2026-01-31T12:00:00Z", "data": data}, _VALUES),
    st.builds(lambda word: {"id": word, "timestamp": "2026-01-31T12:00:00Z"}, st.text(max_size=3)),
)
_SPACE = st.text(alphabet=" \t\r\n", max_size=3)


FINDER = FaultFinder(Record, records_table(Record).record)


def reader_of(**changed: int) -> RecordReader:
    """Return a reader of the default record, with limits changed."""
    limits = msgspec.structs.replace(LIMITS, **changed)
    return RecordReader(records_table(Record), ScriptedAppender().encoder, limits)


def outcome(reading: Decoded) -> Any:
    """Return what a reading says, as plain values."""
    return rows_of(reading), [(each.index, each.reason, each.field, each.detail, each.raw) for each in reading.rejects]


def slow_outcome(message: Message, pieces: list[bytes]) -> Any:
    """Read each piece as a message of its own, without any part of the pass; put together what becomes of them."""
    reader, rows, rejects = reader_of(), [], []
    encode = ScriptedAppender().encoder(message.envelope())
    for index, piece in enumerate(pieces):
        read = reader._read_one(message, index, piece, encode)
        if isinstance(read, Reject):
            if read.reason == "invalid":
                (first,) = read.faults
                read = with_faults(read, FINDER.all_of(first, piece, iter(range(MAX_EXAMINED))))
            rejects.append((index, read.reason, read.field, read.detail, read.raw))
        else:
            rows.append(Row(index, read.id, read.encoded))
    return rows, rejects


def told_apart(data: bytes) -> list[bytes] | Unreadable:
    """Tell the elements of an array apart by decoding it as a whole."""
    try:
        return [bytes(raw) for raw in _array.decode(data)]
    except msgspec.DecodeError as error:
        return Unreadable("malformed", malformed_detail(data, error))


@given(st.lists(_RECORDS, max_size=6), _SPACE, _SPACE, st.sampled_from(["", "gzip"]))
def test_an_array_is_read_as_its_elements_are_one_by_one(
    records: list[Any], before: str, between: str, encoding: str
) -> None:
    """Whatever the elements are, however much white space there is, and in whatever encoding it came."""
    elements = (between + "," + before).join(json.dumps(record) for record in records)
    data = f"{before}[{between}{elements}{before}]{between}".encode()
    sent = gzip.compress(data, mtime=0) if encoding else data
    message = Message(key="1:0", data=sent, content_encoding=encoding)
    expected = slow_outcome(message, [bytes(raw) for raw in _array.decode(data)])
    assert outcome(reader_of().read(message)) == expected
    assert outcome(decode(reader_of(), message)) == expected  # as a light one, where that is possible


@given(_RECORDS, st.sampled_from(["", "application/json"]))
def test_a_light_record_is_read_as_any_other(record: Any, content_type: str) -> None:
    """The short way is only shorter."""
    message = Message(key="1:0", data=json.dumps(record).encode(), content_type=content_type)
    reader = reader_of()
    assert outcome(decode(reader, message)) == outcome(reader.read(message))


@given(st.text(alphabet='[]{},:1"a \\e-', max_size=14).map(str.encode) | st.binary(max_size=14))
@example(b"1 2]")
@example(b"1,]")
@example(b"1, tru]")
@example(b"1] 2")
@example(b"1")
@example(b'"a')
@example(b"1,\xff]")
@example(b"1,2}")
def test_an_array_is_cut_where_the_decoder_tells_its_elements_apart(inside: bytes) -> None:
    """It is malformed exactly where the decoder says so, in the same words, with the place in the whole message."""
    data = b"[" + inside
    pieces = pieces_of(Message(key="1:0", data=data), data, most=100)
    cut = [pieces[index] for index in range(len(pieces))] if isinstance(pieces, Pieces) else pieces
    assert cut == told_apart(data)


@pytest.mark.parametrize(
    ("data", "detail"),
    [(b"\x0b[1]", "JSON is malformed: invalid character (byte 0)"), (b"[" * 2_000, "nested too deeply")],
)
def test_an_array_that_cannot_be_cut_says_why(data: bytes, detail: str) -> None:
    """Neither is a record of its own."""
    pieces = pieces_of(Message(key="1:0", data=data), data, most=100)
    assert pieces == Unreadable("malformed", f"not valid JSON: {detail}")


def test_each_record_is_decoded_once() -> None:
    """To cut, weigh and measure depth takes no decoding."""
    made = itertools.count()

    class Counted(msgspec.Struct, forbid_unknown_fields=True):
        name: str
        data: Any = None

        def __post_init__(self) -> None:
            next(made)

    limits = msgspec.structs.replace(
        LIMITS, max_record_bytes=10**6, max_decompressed_bytes=10**7, max_batch_bytes=10**6
    )
    limits = msgspec.structs.replace(limits, max_message_bytes=10**7)
    reader = RecordReader(records_table(Counted), ScriptedAppender().encoder, limits)
    records = [b'{"name":"a","data":[%b1]}' % (b"[[]]," * size) for size in (1, 600, 30_000)]
    data = gzip.compress(b"[" + b",".join(records) + b"]", mtime=0)
    decoded = reader.read(Message(key="1:0", data=data, content_encoding="gzip"))
    assert (len(decoded.rows), [*decoded.rejects]) == (3, [])
    assert next(made) == 3
