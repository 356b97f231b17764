"""Cutting a message into records: how many, and where one ends."""

import gzip
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from app.ingest.decode.envelope import Message
from app.ingest.decode.reader import RecordReader
from app.record import Record
from app.schema.table import records_table
from app.stores.sink import RowEncode
from tests.ingest.reading import GOOD, LIMITS, read, read_message
from tests.ingest.scripted import ScriptedAppender


def test_a_message_is_one_gzip_member() -> None:
    """A hundred thousand tiny ones took long to open once."""
    rows, (reject,) = read(gzip.compress(b"", mtime=0) * 100_000, content_encoding="gzip")
    assert rows == []
    assert (reject.reason, "one whole member" in reject.detail) == ("bad_encoding", True)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"[" + b"1," * 100 + b"1]", ""),
        (b" [ " + GOOD + (b" , " + GOOD) * 100 + b"]", ""),
        (b"\n".join([GOOD] * 102), "application/x-ndjson"),
        (b"\n".join([GOOD] * 101), "application/x-ndjson"),
        (b"[" + b"1," * 1_000_000 + b"}", ""),
    ],
)
def test_too_many_records_are_one_reject_with_the_whole_message(data: bytes, content_type: str) -> None:
    """Counting stops at the limit, before anything is made of the rest."""
    rows, (reject,) = read(data, content_type=content_type)
    assert rows == []
    assert (reject.reason, reject.raw) == ("too_many_records", data)


def test_a_lone_carriage_return_ends_no_line() -> None:
    """It is white space inside a record."""
    rows, rejects = read(GOOD.replace(b",", b",\r") + b"\r\n" + GOOD, content_type="application/x-ndjson")
    assert (len(rows), rejects) == (2, [])


def test_no_more_rows_of_an_array_are_made_than_a_message_may_come_to() -> None:
    """Each has the whole envelope: a small message of many records would fill the memory."""
    made = 0

    class Counting(ScriptedAppender):
        def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
            encode = super().encoder(envelope)

            def counted(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
                nonlocal made
                made += 1
                return encode(record, index, delivery_key)

            return counted

    limits = msgspec.structs.replace(LIMITS, max_records_per_message=10_000)
    reader = RecordReader(records_table(Record), Counting().encoder, limits)
    message = Message(key="1:0", data=b"[" + b",".join([GOOD] * 5_000) + b"]", attributes={"a": "x" * 5_000})
    rows, (reject,) = read_message(reader, message)
    assert (len(rows), reject.reason) == (0, "too_large")
    assert made < 50
