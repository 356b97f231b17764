"""Rows of the Storage Write API: what an independent protobuf decoder reads of them."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.decode.envelope import Message
from app.record import Record
from app.runtime.instants import epoch_us
from app.schema.table import Table, records_table
from app.stores.bigquery.proto_rows import ProtoRowEncoder
from tests.encoding import encoded, whole_envelope

ENVELOPE = whole_envelope(Message(key="k", data=b""))


def row_class(table: Table) -> Any:
    """Return the class of rows by the descriptor that BigQuery would be sent."""
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="r.proto", package="t", message_type=[ProtoRowEncoder(table).descriptor]))
    return GetMessageClass(pool.FindMessageTypeByName("t.Row"))


def decode(table: Table, row: bytes) -> dict[str, Any]:
    """Read a row by the descriptor that BigQuery would be sent."""
    message = row_class(table).FromString(row)
    assert message.IsInitialized()
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return found


_RECORDS = records_table(Record)
_ENCODER = ProtoRowEncoder(_RECORDS)


_ROW = row_class(_RECORDS)
_INSTANTS = st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone
_TEXTS = st.text(max_size=20)
_DATA = st.none() | st.integers(-(2**53), 2**53) | st.dictionaries(_TEXTS, st.booleans(), max_size=3)


def _message(values: dict[str, Any]) -> Message:
    return Message(data=b"", **values)


_MESSAGES = st.fixed_dictionaries(
    {
        "key": _TEXTS,
        "attributes": st.dictionaries(_TEXTS, _TEXTS, max_size=3),
        "subscription_name": st.none() | _TEXTS,
        "message_id": st.none() | _TEXTS,
        "publish_time": st.none() | _INSTANTS,
        "ordering_key": st.none() | _TEXTS,
        "trace_id": st.none() | _TEXTS,
    }
).map(_message)
_OF_ONE_RECORD = {column.name for column in _RECORDS.record} | {"message_index", "delivery_key"}


def _made_at_once(record: Record, message: Message, index: int) -> Any:
    """Return the row as one protobuf message, field by field, without its `ingest_time`."""
    published, own = message.publish_time, {"message_index": index, "delivery_key": message.delivery_key(index)}
    values = {
        **msgspec.structs.asdict(record),
        **message.envelope(),
        **own,
        "timestamp": epoch_us(record.timestamp),
        "data": None if record.data is None else msgspec.json.encode(record.data).decode(),
        "publish_time": None if published is None else epoch_us(published),
        "attributes": msgspec.json.encode(message.attributes).decode(),
    }
    return _ROW(**{name: value for name, value in values.items() if value is not None})


@given(
    _MESSAGES,
    st.lists(
        st.builds(Record, id=_TEXTS, timestamp=_INSTANTS, source=st.none() | _TEXTS, data=_DATA), min_size=1, max_size=4
    ),
)
def test_the_rows_of_a_message_differ_only_in_what_is_theirs(message: Message, records: list[Record]) -> None:
    """What they share is encoded once and concatenated: each is the row made at once, and NULL is an absent field."""
    encode = _ENCODER.encoder(message.envelope())
    rows = [_ROW.FromString(encode(record, index, message.delivery_key(index))) for index, record in enumerate(records)]
    assert rows == [_made_at_once(record, message, index) for index, record in enumerate(records)]
    shared = [
        {field.name: value for field, value in row.ListFields() if field.name not in _OF_ONE_RECORD} for row in rows
    ]
    assert shared == [shared[0]] * len(rows)
    for record, row in zip(records, rows, strict=True):
        values = {**msgspec.structs.asdict(record), **message.envelope()}
        assert not [name for name, value in values.items() if row.HasField(name) != (value is not None)]


def test_a_rekeyed_row_differs_in_its_key_only() -> None:
    """Of a field that comes twice the last one counts; a stamp still fits behind it."""
    row = encoded(_ENCODER, Record(id="a", timestamp=datetime(2026, 1, 31, tzinfo=UTC)), ENVELOPE)
    plain, late = (
        decode(_RECORDS, each + _ENCODER.stamp(7))
        for each in (row, _ENCODER.rekeyed(_ENCODER.rekeyed(row, 1)[: len(row)], 12))
    )
    assert late == plain | {"delivery_key": f"{plain['delivery_key']}~late12"}
