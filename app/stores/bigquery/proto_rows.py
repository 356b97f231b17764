"""Encode records as rows of the Storage Write API, and describe them with a protobuf descriptor. Pure.

A row is a serialised protobuf message of the table's descriptor. Serialised messages concatenate
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so `ingest_time` is appended when the row is
sent, and everything else is encoded once.

Field types follow https://cloud.google.com/bigquery/docs/supported-data-types: TIMESTAMP is int64 microseconds, DATE
int32 days since 1970-01-01, and NUMERIC, TIME and JSON are text.

Values are read by an expression with one item for each column, compiled once for a table. It runs for every record,
and a loop over the columns would cost twice as much.
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
from google.protobuf.message import Message
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
"""Converts a Struct's value to the row's."""
Converters = Mapping[str, Convert]
"""By column name; the value of a column without a converter stays as it is. None stays None."""
INGEST_TIME = "ingest_time"
_DELIVERY_KEY = "delivery_key"
_OF_A_ROW = ("message_index", _DELIVERY_KEY)  # envelope columns that the rows of a message do not share
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

    It leaves out the columns at the dotted paths `lacking`. The others keep their numbers, so a row that was encoded
    for the whole message is valid if it has no value for those.
    """
    return _message("Row", table.columns, lacking, "")


def _message(name: str, columns: tuple[Column, ...], lacking: frozenset[str], prefix: str) -> DescriptorProto:
    message = DescriptorProto(name=name)
    for number, column in enumerate(columns, start=1):
        path = prefix + column.name
        if path in lacking:
            continue
        field = message.field.add(
            name=column.name,
            number=number,
            type=_TYPES[column.kind],
            label=_LABELS[column.mode],
            json_name=column.name,  # explicit, because the names derived from user_id and userId would clash
        )
        if column.kind is Kind.STRUCT:
            nested = _message(_type_name(number, columns), column.fields, lacking, f"{path}.")
            message.nested_type.append(nested)
            field.type_name = nested.name
    return message


def _type_name(number: int, columns: tuple[Column, ...]) -> str:
    """Name the type of the field `number`: fields and nested types share one scope."""
    name = f"Struct{number}"
    while any(column.name == name for column in columns):
        name += "_"
    return name


def values_reader(columns: tuple[Column, ...], converters: Converters) -> Callable[[msgspec.Struct], dict[str, Any]]:
    """Return the function that reads the values of `columns` from a Struct."""
    written = _Written()
    items = [f"{name!r}: {value}" for name, value in written.of_struct("record", columns, converters).items()]
    return written.compiled(f"lambda record: {{{', '.join(items)}}}")


class RowMakers:
    """Calls the class of a row's message with the values of a record, of an envelope (a mapping by name), or of both.

    Each is a single call with named arguments, so that no intermediate dictionaries are made.
    """

    def __init__(
        self, record: tuple[Column, ...], envelope: Iterable[str], own: Iterable[str], converters: Converters
    ) -> None:
        """Compile them for the columns of a record, those of the envelope, and those that are a row's `own`."""
        written = _Written()
        of_record = written.of_struct("record", record, converters)
        of_envelope = written.of_items("envelope", envelope, converters)
        row = {name: name for name in own}
        known = ", ".join(["new", "record", *row])
        self.whole: Callable[..., Any] = written.call(f"{known}, envelope", {**of_record, **of_envelope, **row})
        """Takes the message class, the record, the row's own values in order, and the envelope."""
        self.without_envelope: Callable[..., Any] = written.call(known, {**of_record, **row})
        """Takes the same, without the envelope."""
        self.envelope: Callable[..., Any] = written.call("new, envelope", of_envelope)
        """Takes the message class and the envelope."""


class _Written:
    """Builds expressions, and holds the converters that they call."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {"__builtins__": {"getattr": getattr}}

    def of_struct(self, source: str, columns: tuple[Column, ...], converters: Converters) -> dict[str, str]:
        """Return the expression of each column of a Struct."""
        accesses = {column.name: _access(source, column.attribute) for column in columns}
        return {name: self._converted(access, converters.get(name)) for name, access in accesses.items()}

    def of_items(self, source: str, names: Iterable[str], converters: Converters) -> dict[str, str]:
        """Return the expression of each of these names, in a mapping that has them all."""
        return {name: self._converted(f"{source}[{name!r}]", converters.get(name)) for name in names}

    def call(self, parameters: str, values: Mapping[str, str]) -> Callable[..., Any]:
        """Return a function that calls its first parameter, `new`, with these values by name."""
        named = [f"{name}={value}" for name, value in values.items() if _is_plain(name)]
        others = [f"{name!r}: {value}" for name, value in values.items() if not _is_plain(name)]
        arguments = [*named, *([f"**{{{', '.join(others)}}}"] if others else [])]
        return self.compiled(f"lambda {parameters}: new({', '.join(arguments)})")

    def compiled(self, expression: str) -> Callable[..., Any]:
        """Return the value of an expression."""
        made: Callable[..., Any] = eval(expression, self._known)  # noqa: S307 - of a declaration's names, quoted or identifiers
        return made

    def _converted(self, access: str, convert: Convert | None) -> str:
        if convert is None:
            return access
        name = f"convert{len(self._known)}"
        self._known[name] = convert
        return f"None if (value := {access}) is None else {name}(value)"


def _access(source: str, attribute: str) -> str:
    return f"{source}.{attribute}" if _is_plain(attribute) else f"getattr({source}, {attribute!r})"


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name != "__debug__"


class ProtoRowEncoder:
    """Encodes the rows of one table."""

    def __init__(self, table: Table) -> None:
        self.descriptor: DescriptorProto = protobuf_descriptor(table)
        self.message: Any = _message_class(self.descriptor)
        shared = [column for column in table.envelope if column.name not in {INGEST_TIME, *_OF_A_ROW}]
        converters = _converters([*table.record, *shared])
        self._make = RowMakers(table.record, [column.name for column in shared], _OF_A_ROW, converters)
        numbers = {field.name: field.number for field in self.descriptor.field}
        self._stamp_tag, self._key_tag = varint(numbers[INGEST_TIME] << 3), varint(numbers[_DELIVERY_KEY] << 3 | 2)

    def encoder(self, envelope: Mapping[str, Any]) -> RowEncode:
        """Return the encoder for the records of a message; `envelope` holds the envelope columns that they share."""
        new, make, encoded_shared = self.message, self._make, b""

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

    def using(self, rows: Sequence[bytes], paths: frozenset[str]) -> frozenset[int]:
        """Return the positions of the rows that have a value for a column at one of the dotted `paths`."""
        parts = [path.split(".") for path in paths]
        return frozenset(
            position
            for position, row in enumerate(rows)
            if any(_owners(self.message.FromString(row), path) for path in parts)
        )

    def without(self, row: bytes, paths: frozenset[str]) -> bytes:
        """Return `row` without its values for the columns at the dotted `paths`."""
        message = self.message.FromString(row)
        for path in paths:
            *_, name = parts = path.split(".")
            for owner in _owners(message, parts):
                owner.ClearField(name)
        encoded: bytes = message.SerializePartialToString()
        return encoded

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


def _owners(message: Any, path: Sequence[str]) -> list[Any]:
    """Return the messages, `message` or those nested in it, that have a value for the last field of `path`."""
    name, *inner = path
    value = next((value for field, value in message.ListFields() if field.name == name), None)
    if value is None:
        return []
    if not inner:
        return [message]
    items = [value] if isinstance(value, Message) else value
    return [owner for item in items for owner in _owners(item, inner)]


def _message_class(descriptor: DescriptorProto) -> type:
    # A pool of its own: two record types may use the same names.
    pool = DescriptorPool()
    pool.Add(FileDescriptorProto(name="row.proto", package=_PACKAGE, message_type=[descriptor]))
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{descriptor.name}"))


def _reader(columns: tuple[Column, ...]) -> Callable[[msgspec.Struct], dict[str, Any]]:
    return values_reader(columns, _converters(columns))


def _converters(columns: Iterable[Column]) -> dict[str, Convert]:
    converters = {column.name: _converter(column) for column in columns}
    return {name: convert for name, convert in converters.items() if convert is not None}


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


_Rest = dict[str, msgspec.Raw]
_read_rest = msgspec.json.Decoder(_Rest).decode


class PendingValues:
    """Moves values in the rows of one table, which are messages of its descriptor (app.stores.bigquery.proto_rows)."""

    def __init__(self, table: Table, message: Any) -> None:
        self._rest = "" if table.rest is None else table.rest.name
        self._promoted = {column.name: column.kind for column in table.promoted}
        self._message = message

    def movable(self, lacking: frozenset[str]) -> frozenset[str]:
        """Return the columns among `lacking` whose values can be moved: none if the table lacks the rest itself."""
        return frozenset() if self._rest in lacking else lacking & self._promoted.keys()

    def moved(self, row: bytes, names: frozenset[str]) -> bytes | None:
        """Return `row` with its values for these columns in its rest; None if one cannot be moved.

        A member has that name already if a type's `upgrade` declares it and leaves it in the rest. JSON has no text for
        a number that is not finite.
        """
        message = self._message.FromString(row)
        fields = [(field.name, value) for field, value in message.ListFields() if field.name in names]
        if not fields:
            return row
        rest: _Rest = _read_rest(getattr(message, self._rest) or "{}")
        for name, value in fields:
            if name in rest or (isinstance(value, float) and not math.isfinite(value)):
                return None
            is_instant = self._promoted[name] is Kind.TIMESTAMP
            rest[name] = msgspec.Raw(msgspec.json.encode(to_text(value) if is_instant else value))
            message.ClearField(name)
        setattr(message, self._rest, msgspec.json.encode(rest).decode())
        encoded: bytes = message.SerializePartialToString()
        return encoded
