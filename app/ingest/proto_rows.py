"""Encode records as rows of the Storage Write API. Pure.

A row is a serialised protobuf message of the table's descriptor. Serialised messages concatenate
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so `ingest_time` is appended when the row is
sent, and everything else is encoded once.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from functools import partial
from typing import Any

import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from app.epoch import epoch_us
from app.schema.columns import Column, Kind, Mode
from app.schema.decimals import plain_decimal
from app.schema.protobuf import protobuf_descriptor
from app.schema.table import Table

INGEST_TIME = "ingest_time"
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_PACKAGE = "sluice"

_Convert = Callable[[Any], Any]
_Field = tuple[str, str, _Convert | None]
"""A field's name in the row and in the Struct, and what makes the row's value of the Struct's; None: nothing to do."""


class RowEncoder:
    """Encodes the rows of one table."""

    def __init__(self, table: Table) -> None:
        self.descriptor: DescriptorProto = protobuf_descriptor(table)
        self._message: Any = _message_class(self.descriptor)
        self._record = _fields(table.record)
        self._envelope = [field for field in _fields(table.envelope) if field[0] != INGEST_TIME]
        number = next(field.number for field in self.descriptor.field if field.name == INGEST_TIME)
        self._stamp_tag = _varint(number << 3)

    def encode(self, record: msgspec.Struct, envelope: Mapping[str, Any]) -> bytes:
        """Return the row without its `ingest_time`; `envelope` holds the other envelope columns."""
        values = _values(self._record, partial(getattr, record))
        values |= _values(self._envelope, envelope.__getitem__)
        encoded: bytes = self._message(**values).SerializePartialToString()
        return encoded

    def stamped(self, rows: Sequence[bytes], ingest_us: int) -> list[bytes]:
        """Return `rows` with their `ingest_time`, in microseconds since the Unix epoch."""
        stamp = self._stamp_tag + _varint(ingest_us)
        return [row + stamp for row in rows]


def _message_class(descriptor: DescriptorProto) -> type:
    # A pool of its own: two record types may use the same names.
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="row.proto", package=_PACKAGE, message_type=[descriptor]))
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{descriptor.name}"))


def _fields(columns: tuple[Column, ...]) -> list[_Field]:
    return [(column.name, column.attribute, _converter(column)) for column in columns]


def _values(fields: list[_Field], value_of: Callable[[str], Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, attribute, convert in fields:
        value = value_of(attribute)
        if value is not None:  # a missing field is NULL, or the column's default
            values[name] = value if convert is None else convert(value)
    return values


def _converter(column: Column) -> _Convert | None:
    if column.kind is Kind.STRUCT:
        item: _Convert | None = partial(_struct, _fields(column.fields))
    elif column.closed:
        item = _plain
    elif column.is_uuid:
        item = str
    else:
        item = _CONVERTERS.get(column.kind)
    return partial(_each, item) if item is not None and column.mode is Mode.REPEATED else item


def _each(convert: _Convert, values: Sequence[Any]) -> list[Any]:
    return [convert(value) for value in values]


def _struct(fields: list[_Field], value: msgspec.Struct) -> dict[str, Any]:
    return _values(fields, partial(getattr, value))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _days(value: date) -> int:
    return value.toordinal() - _EPOCH_DAY


def _json(value: Any) -> str:
    return _encoder.encode(value).decode()


_encoder = msgspec.json.Encoder()
_CONVERTERS: dict[Kind, _Convert] = {
    Kind.TIMESTAMP: epoch_us,
    Kind.DATE: _days,
    Kind.TIME: time.isoformat,
    Kind.NUMERIC: plain_decimal,
    Kind.JSON: _json,
}


def _varint(number: int) -> bytes:
    """Encode a non-negative integer as protobuf does."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
