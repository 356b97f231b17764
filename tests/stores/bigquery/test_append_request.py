"""Requests written as bytes: the client's own type reads from them exactly what was put in."""

from typing import Any

from google.cloud.bigquery_storage_v1 import types
from google.protobuf.descriptor_pb2 import DescriptorProto
from hypothesis import example, given
from hypothesis import strategies as st

from app.record import Record
from app.schema.table import records_table
from app.stores.bigquery.connection import AppendRequests
from app.stores.bigquery.proto_rows import protobuf_descriptor

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


# Rows, all rows, and what is around them each have a length of their own, which takes a byte more at these steps.
_STEPS = st.sampled_from([0, 1, 116, 125, 126, 127, 128, 16_372, 16_381, 16_383, 16_384, 2_097_151, 2_097_152])
_ROWS = st.lists(st.binary(max_size=300) | (st.integers(0, 40_000) | _STEPS).map(bytes), max_size=12)


@example([bytes(127)], b"", True)
@example([b"a", bytes(16_383), b""], b"\x08", False)
@example([bytes(2_097_151)], b"x", True)
@given(_ROWS, st.binary(max_size=12), st.booleans())
def test_a_request_is_read_as_what_was_put_in(rows: list[bytes], end: bytes, first: bool) -> None:  # noqa: FBT001 - drawn
    """Nothing more and nothing less, in order, with the end on each row."""
    written = REQUESTS.write(rows, end, first=first)
    expected = by_the_client([row + end for row in rows], first=first)
    if not rows:
        expected.proto_rows.rows.SetInParent()
    assert _TYPE.FromString(written) == expected
    assert len(written) == expected.ByteSize()
