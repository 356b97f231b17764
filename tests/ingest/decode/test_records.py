"""Reading the records of a message: forms, limits, and the field each error names."""

import gzip
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import RecordReader
from app.record import Record
from app.schema.table import records_table
from tests.ingest.reading import GOOD, LIMITS, read, read_message
from tests.ingest.scripted import ScriptedAppender


@pytest.mark.parametrize(
    ("data", "content_type", "count"),
    [
        (GOOD, "", 1),
        (b"\n " + GOOD + b"\n", "application/json", 1),
        (b"[" + GOOD + b"," + GOOD + b"]", "application/json; charset=utf-8", 2),
        (b" [ ] ", "", 0),
        (GOOD + b"\n" + GOOD + b"\r\n\n" + GOOD, "application/x-ndjson", 3),
        (GOOD + b"\n", "Application/X-NDJSON; charset=utf-8", 1),
        (GOOD, "application/octet-stream", 1),
    ],
)
def test_one_record_an_array_or_ndjson(data: bytes, content_type: str, count: int) -> None:
    """Each form gives its records, in order, with their positions."""
    rows, rejects = read(data, content_type=content_type)
    assert [row.index for row in rows] == list(range(count))
    assert rejects == []
    assert {row.id for row in rows} <= {"a"}


def test_the_rows_of_a_message_share_its_envelope_and_have_keys_of_their_own() -> None:
    """A record's place counts those before it that are rejected."""
    reader = RecordReader(records_table(Record), ScriptedAppender().encoder, LIMITS)
    data = b"\n".join([GOOD, b"{}", GOOD.replace(b'"a"', b'"b"')])
    rows, rejects = read_message(
        reader,
        Message(key="1:0", data=data, content_type="application/x-ndjson", message_id="1", attributes={"k": "v"}),
    )
    first, last = (msgspec.json.decode(row.encoded) for row in rows)
    assert (first["id"], first["message_index"], first["delivery_key"]) == ("a", 0, "1:0:0")
    assert last == first | {"id": "b", "message_index": 2, "delivery_key": "1:0:2"}
    assert (first["message_id"], first["attributes"]) == ("1", {"k": "v"})
    assert [reject.index for reject in rejects] == [1]


def test_compressed_payloads_are_read_like_others() -> None:
    """The encoding is in any case."""
    rows, rejects = read(gzip.compress(GOOD, mtime=0), content_encoding="GZIP")
    assert len(rows) == 1
    assert rejects == []


@pytest.mark.parametrize(
    ("data", "encoding", "reason", "words"),
    [
        (gzip.compress(GOOD, mtime=0)[:-5], "gzip", "bad_encoding", "one whole member"),
        (gzip.compress(GOOD, mtime=0) + b"junk", "gzip", "bad_encoding", "not valid gzip"),
        (b"", "gzip", "bad_encoding", "one whole member"),
        (gzip.compress(b" " * 10_001, mtime=0), "gzip", "too_large", "more than 10000 bytes"),
        (gzip.compress(GOOD, mtime=0) * 2, "gzip", "bad_encoding", "nothing after it"),
        (GOOD[:-1] + b',"data":[' + b"1e15," * 800 + b"1]}", "", "too_large", "bytes as a row: expected at most 10000"),
        (b"[" + GOOD + b", {", "", "malformed", ""),
        (b"[" + b'{"a":[1,2,3]},' * 60, "", "malformed", ""),
        (b"[" + b",,," * 100 + b"]", "", "malformed", ""),
        (b"[1" + b" 1," * 100 + b"]", "", "malformed", ""),
    ],
)
def test_what_cannot_be_read_is_one_reject_with_the_bytes_as_they_came(
    data: bytes, encoding: str, reason: str, words: str
) -> None:
    """Bad gzip, a row beyond an append, and an array whose commas are not certain: nothing made of them is kept."""
    rows, (reject,) = read(data, content_encoding=encoding)
    assert rows == []
    assert (reject.reason, reject.raw, reject.index) == (reason, data, 0)
    assert words in reject.detail


class Money(msgspec.Struct, forbid_unknown_fields=True):
    """An amount."""

    amount: Decimal
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]


class Order(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A nested record with names of its own in JSON."""

    order_id: int
    total_price: Money
    lines: list[Money] = []

    def __post_init__(self) -> None:
        """Refuse what types cannot say, in ways that a declared type may."""
        if self.order_id == 13:
            raise ValueError("thirteen is not an order")
        if self.order_id == 14:
            raise KeyError("a defect of the declaration")


def order(**changed: Any) -> bytes:
    """Return an order with members changed."""
    return msgspec.json.encode({"orderId": 1, "totalPrice": {"amount": "1.5", "currency": "EUR"}} | changed)


@pytest.mark.parametrize(
    ("data", "reason", "field", "words"),
    [
        (order(orderId="1"), "invalid", "orderId", "Expected `int`, got `str`"),
        (order(orderId=2**63), "invalid", "orderId", "64 bits"),
        (order(totalPrice={"amount": "x", "currency": "EUR"}), "invalid", "totalPrice.amount", "decimal"),
        (order(totalPrice={"amount": "NaN", "currency": "EUR"}), "invalid", "totalPrice.amount", "finite"),
        (order(totalPrice={"amount": "1", "currency": "eur"}), "invalid", "totalPrice.currency", "regex"),
        (order(totalPrice={"amount": "1"}), "invalid", "totalPrice.currency", "missing required field"),
        (order(lines=[{"amount": 1, "currency": "EUR"}, {}]), "invalid", "lines[1].amount", "missing"),
        (order(lines=[{"amount": "1e40", "currency": "EUR"}]), "invalid", "lines[0].amount", "digits"),
        (order(colour="red"), "invalid", "colour", "unknown field"),
        (order(orderId=13), "invalid", None, "thirteen is not an order"),
        (order(orderId=14), "invalid", None, "the record type raised KeyError"),
        (b"3", "invalid", None, "Expected `object`"),
        (b"null", "invalid", None, "Expected `object`"),
        (b'{"orderId": 1,}', "malformed", None, "not valid JSON"),
        (b'{"orderId": NaN}', "malformed", None, "NaN is not JSON: send null"),
        (b'{"totalPrice": {"amount": 1, "currency": "\xff"}}', "malformed", None, "not valid JSON"),
        (order(orderId="x" * 5_000), "too_large", None, "expected at most 5000"),
    ],
)
def test_each_error_names_the_field_as_the_producer_knows_it(
    data: bytes, reason: str, field: str | None, words: str
) -> None:
    """The path is that of the JSON, with positions, and the text says what would be right."""
    rows, (reject,) = read(data, Order)
    assert rows == []
    assert (reject.reason, reject.field, reject.raw) == (reason, field, data)
    assert words in reject.detail


@pytest.mark.parametrize(
    ("opening", "closing", "levels"), [("[", "]", 501), ("[", "]", 2_000), ('{"a":', "}", 501), ("[", "]", 100_000)]
)
def test_json_nested_beyond_what_bigquery_takes_is_a_reject(opening: str, closing: str, levels: int) -> None:
    """Depth is a limit of the store and of the stack; the record's own object is one level."""
    reader = RecordReader(
        records_table(Record),
        ScriptedAppender().encoder,
        msgspec.structs.replace(LIMITS, max_record_bytes=1_000_000, max_batch_bytes=1_000_000),
    )
    data = GOOD[:-1] + f',"data":{opening * (levels - 1)}1{closing * (levels - 1)}}}'.encode()
    rows, (reject,) = read_message(reader, Message(key="1:0", data=data))
    assert not rows
    assert (reject.reason, reject.detail) == ("malformed", "nested too deeply: expected at most 500 levels")


def test_a_message_whose_rows_would_be_huge_is_one_reject() -> None:
    """Every row has the whole envelope: many small records with large attributes are refused, not stored for ever."""
    reader = RecordReader(records_table(Record), ScriptedAppender().encoder, LIMITS)
    message = Message(key="1:0", data=b"[" + b",".join([GOOD] * 100) + b"]", attributes={"a": "x" * 2_000})
    rows, (reject,) = read_message(reader, message)
    assert not rows
    assert (reject.reason, reject.raw) == ("too_large", message.data)


def test_long_names_and_details_are_cut() -> None:
    """A reject's row is not made large by what the record holds."""
    rows, (reject,) = read(GOOD[:-1] + b',"' + b"k" * 4_000 + b'":1}')
    assert rows == []
    assert reject.field == "k" * 300
    assert len(reject.detail) == 1_000


def test_more_rejects_than_a_message_may_have_are_one_that_says_how_far_it_was_read() -> None:
    """Nothing of it is stored: its good records are within the one reject."""
    limits = msgspec.structs.replace(LIMITS, max_rejects_per_message=3)
    data = b"[" + b",".join([GOOD, b"1", b"2", b"3", b"4", GOOD]) + b"]"
    rows, (reject,) = read(data, limits=limits)
    assert (rows, reject.reason, reject.raw) == ([], "too_many_rejects", data)
    assert reject.detail.startswith("4 of the first 5 records (of 6) were rejected")
    rows, rejects = read(b"[" + b",".join([GOOD, b"1", b"2", b"3", GOOD]) + b"]", limits=limits)
    assert (len(rows), len(rejects)) == (2, 3)


@given(st.binary(max_size=200), st.sampled_from(["", "application/x-ndjson"]), st.sampled_from(["", "gzip"]))
def test_no_bytes_are_lost_whatever_they_are(data: bytes, content_type: str, content_encoding: str) -> None:
    """Arbitrary bytes end as rows or rejects, never as an exception, and each reject holds bytes of the message."""
    rows, rejects = read(data, content_type=content_type, content_encoding=content_encoding)
    assert rows == []
    assert all(reject.raw in data for reject in rejects)
    assert rejects or data.strip() in {b"[]", b"[ ]"} or content_encoding == "gzip"
