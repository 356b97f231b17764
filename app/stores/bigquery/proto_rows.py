"""Encode records as rows of the Storage Write API. Pure.

A row is a serialised protobuf message of the table's descriptor. Serialised messages concatenate
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so `ingest_time` is appended when the row is
sent, and everything else is encoded once.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from functools import partial
from typing import Any

import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from app.runtime.instants import epoch_us
from app.schema.columns import Column, Kind, Mode
from app.schema.decimals import plain_decimal
from app.schema.table import Table
from app.stores.bigquery.protobuf import protobuf_descriptor
from app.stores.bigquery.struct_values import Convert, RowMakers, values_reader
from app.stores.bigquery.varint import varint
from app.stores.fence import late_key
from app.stores.sink import RowEncode

INGEST_TIME = "ingest_time"
_DELIVERY_KEY = "delivery_key"
_OF_A_ROW = ("message_index", _DELIVERY_KEY)  # envelope columns that the rows of a message do not share
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_PACKAGE = "sluice"


class RowEncoder:
    """Encodes the rows of one table."""

    def __init__(self, table: Table) -> None:
        self.descriptor: DescriptorProto = protobuf_descriptor(table)
        self._message: Any = _message_class(self.descriptor)
        shared = [column for column in table.envelope if column.name not in {INGEST_TIME, *_OF_A_ROW}]
        converters = _converters([*table.record, *shared])
        self._make = RowMakers(table.record, [column.name for column in shared], _OF_A_ROW, converters)
        numbers = {field.name: field.number for field in self.descriptor.field}
        self._stamp_tag, self._key_tag = varint(numbers[INGEST_TIME] << 3), varint(numbers[_DELIVERY_KEY] << 3 | 2)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return the encoder for the records of a message; `envelope` holds the envelope columns that they share."""
        new, make, encoded_shared = self._message, self._make, b""

        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            nonlocal encoded_shared
            encoded: bytes
            if not index:  # nearly always the only record, so encode it in one go
                encoded = make.whole(new, record, index, delivery_key, envelope).SerializePartialToString()
                return encoded
            encoded_shared = encoded_shared or make.envelope(new, envelope).SerializePartialToString()
            encoded = make.without_envelope(new, record, index, delivery_key).SerializePartialToString()
            return encoded + encoded_shared

        return encode

    def stamp(self, ingest_us: int) -> bytes:
        """Return the bytes that end a row: its `ingest_time`, in microseconds since the Unix epoch."""
        return self._stamp_tag + varint(ingest_us)

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return the unstamped `row` under the key of a late row: of a repeated field, the last value counts."""
        key: str = self._message.FromString(row).delivery_key
        encoded = late_key(key, lateness).encode()
        return row + self._key_tag + varint(len(encoded)) + encoded


def _message_class(descriptor: DescriptorProto) -> type:
    # A pool of its own: two record types may use the same names.
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="row.proto", package=_PACKAGE, message_type=[descriptor]))
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{descriptor.name}"))


def _reader(columns: tuple[Column, ...]) -> Callable[[msgspec.Struct], dict[str, Any]]:
    return values_reader(columns, _converters(columns))


def _converters(columns: Iterable[Column]) -> dict[str, Convert]:
    found = {column.name: _converter(column) for column in columns}
    return {name: convert for name, convert in found.items() if convert is not None}


def _converter(column: Column) -> Convert | None:
    if column.kind is Kind.STRUCT:
        item: Convert | None = _reader(column.fields)
    elif column.closed:
        item = _plain
    elif column.is_uuid:
        item = str
    else:
        item = _CONVERTERS.get(column.kind)
    return partial(_each, item) if item is not None and column.mode is Mode.REPEATED else item


def _each(convert: Convert, values: Sequence[Any]) -> list[Any]:
    return [convert(value) for value in values]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _days(value: date) -> int:
    return value.toordinal() - _EPOCH_DAY


_CONVERTERS: dict[Kind, Convert] = {
    Kind.TIMESTAMP: epoch_us,
    Kind.DATE: _days,
    Kind.TIME: time.isoformat,
    Kind.NUMERIC: plain_decimal,
    Kind.JSON: msgspec.json.Encoder().encode,  # already UTF-8, as strings are on the wire
}
