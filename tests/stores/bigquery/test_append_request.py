"""Requests written as bytes: the client's own type reads from them exactly what was put in."""

from typing import Any

import pytest
from google.cloud.bigquery_storage_v1 import types
from google.protobuf.descriptor_pb2 import DescriptorProto
from hypothesis import given
from hypothesis import strategies as st

from app.record import Record
from app.schema.table import records_table
from app.stores.bigquery.connection import AppendRequests
from app.stores.bigquery.proto_rows import protobuf_descriptor, varint

STREAM, TRACE_ID = "projects/p/datasets/d/tables/t/streams/_default", "sluice:here"
SCHEMA: DescriptorProto = protobuf_descriptor(records_table(Record))
_TYPE: Any = types.AppendRowsRequest.pb()
_DEFAULT = types.AppendRowsRequest.MissingValueInterpretation.DEFAULT_VALUE
REQUESTS = AppendRequests(STREAM, TRACE_ID, SCHEMA)


def by_the_client(rows: list[bytes], *, first: bool) -> Any:
    """Return the request as the client's types make it."""
    request = _TYPE(write_stream=STREAM, trace_id=TRACE_ID)
    request.proto_rows.rows.serialized_rows.extend(rows)
    if first:
        request.proto_rows.writer_schema.proto_descriptor.CopyFrom(SCHEMA)
        request.default_missing_value_interpretation = _DEFAULT
    return request


_ROWS = st.lists(st.binary(max_size=300) | st.integers(0, 40_000).map(bytes), max_size=12)


@given(_ROWS, st.binary(max_size=12), st.booleans())
def test_a_request_is_read_as_what_was_put_in(rows: list[bytes], end: bytes, first: bool) -> None:  # noqa: FBT001 - drawn
    """Nothing more and nothing less, in order, with the end on each row."""
    written = REQUESTS.write(rows, end, first=first)
    expected = by_the_client([row + end for row in rows], first=first)
    if not rows:
        expected.proto_rows.rows.SetInParent()
    assert _TYPE.FromString(written) == expected
    assert len(written) == expected.ByteSize()


@pytest.mark.parametrize("end", [b"", b"\x08\x01", b"x" * 11])
@pytest.mark.parametrize("size", [0, 1, 116, 125, 126, 127, 128, 16_372, 16_381, 16_383, 16_384, 2_097_151, 2_097_152])
def test_lengths_that_take_one_byte_more_are_written_right(size: int, end: bytes) -> None:
    """Of a row, of the rows and of what is around them: each has a length of its own, on either side of each step."""
    for rows in ([bytes(size)], [b"a", bytes(size), b""]):
        for first in (False, True):
            written = REQUESTS.write(rows, end, first=first)
            read = _TYPE.FromString(written)
            assert list(read.proto_rows.rows.serialized_rows) == [row + end for row in rows]
            assert len(written) == by_the_client([row + end for row in rows], first=first).ByteSize()


def test_only_the_first_carries_what_counts_for_all() -> None:
    """The schema, and what a missing value means; the stream and the trace id are in each."""
    first = _TYPE.FromString(REQUESTS.write([b"a"], b"", first=True))
    later = _TYPE.FromString(REQUESTS.write([b"a"], b"", first=False))
    assert first.proto_rows.writer_schema.proto_descriptor == SCHEMA
    assert first.default_missing_value_interpretation == _DEFAULT
    assert not later.proto_rows.HasField("writer_schema")
    assert not later.default_missing_value_interpretation
    assert [(each.write_stream, each.trace_id) for each in (first, later)] == [(STREAM, TRACE_ID)] * 2


def test_a_request_has_rows_in_protobuf_and_no_offset() -> None:
    """Else BigQuery would read something else from it, or expect a stream of its own."""
    read = _TYPE.FromString(REQUESTS.write([b"a"], b"b", first=True))
    assert read.WhichOneof("rows") == "proto_rows"
    assert not read.HasField("offset")
    assert not read.missing_value_interpretations


def test_the_rows_may_be_any_sequence_and_are_left_as_they_are() -> None:
    """A batch that is sent again is sent from the same rows, under a new stamp."""
    rows = (b"a", b"b")
    assert REQUESTS.write(rows, b"1", first=False) == REQUESTS.write(list(rows), b"1", first=False)
    assert REQUESTS.write(rows, b"2", first=False) != REQUESTS.write(rows, b"1", first=False)
    assert rows == (b"a", b"b")


@given(st.integers(0, 2**64 - 1))
def test_a_varint_is_read_as_the_number_it_was_written_from(number: int) -> None:
    """Seven bits a byte, the lowest first, no byte more than it takes."""
    encoded = varint(number)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded)) == number
    assert [byte >> 7 for byte in encoded] == [1] * (len(encoded) - 1) + [0]
    assert len(encoded) == max((number.bit_length() + 6) // 7, 1)
