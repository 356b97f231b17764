"""Encode records as rows of the Storage Write API, and describe them with a protobuf descriptor. Pure.

A row is a serialised protobuf message of the table's descriptor. Serialised messages concatenate
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so `ingest_time` is appended when the row is
sent, and everything else is encoded once.

Field types follow https://cloud.google.com/bigquery/docs/supported-data-types: TIMESTAMP is int64 microseconds, DATE
int32 days since 1970-01-01, and NUMERIC, TIME and JSON are text.

Values are read by an expression compiled once for a type: a loop over its columns takes a third longer for each record.
"""

import enum
import keyword
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from functools import partial
from typing import Any

import msgspec
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from app.runtime.instants import epoch_us, to_text
from app.schema.columns import Column, Kind, Mode
from app.schema.table import Table
from app.schema.values import plain_decimal
from app.stores.sink import RowEncode, late_key

_TYPES = {
    Kind.BOOL: FieldDescriptorProto.TYPE_BOOL,
    Kind.INT64: FieldDescriptorProto.TYPE_INT64,
    Kind.FLOAT64: FieldDescriptorProto.TYPE_DOUBLE,
    Kind.NUMERIC: FieldDescriptorProto.TYPE_STRING,
    Kind.STRING: FieldDescriptorProto.TYPE_STRING,
    Kind.BYTES: FieldDescriptorProto.TYPE_BYTES,
    Kind.TIMESTAMP: FieldDescriptorProto.TYPE_INT64,
    Kind.DATE: FieldDescriptorProto.TYPE_INT32,
    Kind.TIME: FieldDescriptorProto.TYPE_STRING,
    Kind.JSON: FieldDescriptorProto.TYPE_STRING,
    Kind.STRUCT: FieldDescriptorProto.TYPE_MESSAGE,
}
_LABELS = {
    Mode.REQUIRED: FieldDescriptorProto.LABEL_REQUIRED,
    Mode.NULLABLE: FieldDescriptorProto.LABEL_OPTIONAL,
    Mode.REPEATED: FieldDescriptorProto.LABEL_REPEATED,
}
Convert = Callable[[Any], Any]
"""Converts a value, which is not None, to the row's."""
INGEST_TIME = "ingest_time"
_DELIVERY_KEY = "delivery_key"
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_PACKAGE = "sluice"


def varint(number: int) -> bytes:
    """Encode a non-negative integer as a varint (https://protobuf.dev/programming-guides/encoding/#varints)."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def protobuf_descriptor(table: Table, lacking: frozenset[str] = frozenset()) -> DescriptorProto:
    """Return a self-contained proto2 message with one field for each column, numbered in the table's order.

    It leaves out the columns that the table is `lacking`. The others keep their numbers, so a row that was encoded for
    the whole message is valid if it has no value for those.
    """
    return _message("Row", table.columns, lacking)


def _message(name: str, columns: tuple[Column, ...], lacking: frozenset[str] = frozenset()) -> DescriptorProto:
    message = DescriptorProto(name=name)
    for number, column in enumerate(columns, start=1):
        if column.name in lacking:
            continue
        field = message.field.add(
            name=column.name,
            number=number,
            type=_TYPES[column.kind],
            label=_LABELS[column.mode],
            json_name=column.name,  # explicit, because the names derived from user_id and userId would clash
        )
        if column.kind is Kind.STRUCT:  # fields and nested types share a scope; no column has this prefix
            nested = _message(f"_sluice_{number}", column.fields)
            message.nested_type.append(nested)
            field.type_name = nested.name
    return message


class ProtoRowEncoder:
    """Encodes the rows of one table."""

    def __init__(self, table: Table) -> None:
        self.descriptor: DescriptorProto = protobuf_descriptor(table)
        self.message: Any = _message_class(self.descriptor)
        self._values = _compiled(table.record, ("message_index", _DELIVERY_KEY))
        self._converters = {column.name: convert for column in table.envelope if (convert := _converter(column))}
        numbers = {field.name: field.number for field in self.descriptor.field}
        self._stamp_tag, self._key_tag = varint(numbers[INGEST_TIME] << 3), varint(numbers[_DELIVERY_KEY] << 3 | 2)
        self._rest = None if table.rest is None else table.rest.name
        self._promoted = {column.name: column.kind for column in table.promoted}
        self._may_omit = table.may_omit

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return the encoder for the records of a message; `envelope` holds the envelope columns that they share."""
        new, values_of = self.message, self._values
        shared, encoded_shared = {**envelope}, b""
        for name, convert in self._converters.items():
            if (value := shared.get(name)) is not None:
                shared[name] = convert(value)

        def encode(record: msgspec.Struct, index: int, delivery_key: str) -> bytes:
            nonlocal encoded_shared
            values = values_of(record, index, delivery_key)
            if not index:  # nearly always the only record, so encode it in one go
                whole: bytes = new(**values, **shared).SerializePartialToString()
                return whole
            encoded_shared = encoded_shared or new(**shared).SerializePartialToString()
            own: bytes = new(**values).SerializePartialToString()
            return own + encoded_shared

        return encode

    def fitted(self, row: bytes, lacking: frozenset[str]) -> bytes | None:
        """Return `row` for a table that is `lacking` some columns; None if it must wait for them.

        Where the table `may_omit` columns, their values are left out; values of promoted columns are moved to the rest.
        """
        message = self.message.FromString(row)
        used = {field.name for field, _ in message.ListFields()} & lacking
        if not used:
            return row
        if self._may_omit:
            for name in used:
                message.ClearField(name)
        elif not (used <= self._promoted.keys() and self._rest not in lacking and self._moved(message, used)):
            return None
        encoded: bytes = message.SerializePartialToString()
        return encoded

    def _moved(self, message: Any, names: Iterable[str]) -> bool:
        """Move the values of promoted columns to the rest, or return False.

        A member has that name already if a type's `upgrade` declares it and leaves it in the rest. JSON has no text for
        a number that is not finite.
        """
        rest: dict[str, msgspec.Raw] = _read_rest(getattr(message, str(self._rest)) or "{}")
        for name in names:
            value = getattr(message, name)
            if name in rest or (isinstance(value, float) and not math.isfinite(value)):
                return False
            is_instant = self._promoted[name] is Kind.TIMESTAMP
            rest[name] = msgspec.Raw(msgspec.json.encode(to_text(value) if is_instant else value))
            message.ClearField(name)
        setattr(message, str(self._rest), msgspec.json.encode(rest).decode())
        return True

    def stamp(self, ingest_us: int) -> bytes:
        """Return the bytes that end a row: its `ingest_time`, in microseconds since the Unix epoch."""
        return self._stamp_tag + varint(ingest_us)

    def rekeyed(self, row: bytes, lateness: int) -> bytes:
        """Return the unstamped `row` under the key of a late row: of a repeated field, the last value counts."""
        key: str = self.message.FromString(row).delivery_key
        encoded = late_key(key, lateness).encode()
        return row + self._key_tag + varint(len(encoded)) + encoded


def row_encoder(table: Table) -> Callable[[Mapping[str, Any]], RowEncode]:
    """Return the `encoder` of the rows of `table`."""
    return ProtoRowEncoder(table).encoder


def _message_class(descriptor: DescriptorProto) -> type:
    # A pool of its own: two record types may use the same names.
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="row.proto", package=_PACKAGE, message_type=[descriptor]))
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{descriptor.name}"))


def _compiled(columns: Sequence[Column], others: Sequence[str] = ()) -> Callable[..., dict[str, Any]]:
    """Return the function of a Struct, and the values of `others`, that returns all values by column name."""
    known: dict[str, Any] = {"getattr": getattr}
    items = []
    for column in columns:
        attribute = column.attribute
        is_plain = attribute.isascii() and attribute.isidentifier() and not keyword.iskeyword(attribute)
        value = f"record.{attribute}" if is_plain else f"getattr(record, {attribute!r})"
        if (convert := _converter(column)) is not None:
            name = f"convert{len(known)}"
            known[name] = convert
            value = f"None if (value := {value}) is None else {name}(value)"
        items.append(f"{column.name!r}: {value}")
    items += [f"{name!r}: {name}" for name in others]
    expression = f"lambda {', '.join(['record', *others])}: {{{', '.join(items)}}}"
    values: Callable[..., dict[str, Any]] = eval(expression, known)  # noqa: S307 - identifiers, and names in quotes
    return values


def _converter(column: Column) -> Convert | None:
    if column.kind is Kind.STRUCT:
        item: Convert | None = _compiled(column.fields)
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
_read_rest = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
