"""Read the rows of Parquet and Arrow files as JSON records, without losing a digit.

A column is turned into JSON as a whole, by its Arrow type and by the declared column of its name. A null is no member,
so the declared default counts; inside of a JSON column it stays null.
"""

import base64
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any

import msgspec
import pyarrow as pa
from pyarrow import ipc, parquet, types

from app.runtime.instants import MAX_US, MIN_US, from_epoch_us
from app.schema.columns import Column, Kind
from sluice.ops.backfill.formats import Item, Reading

_ROWS = 1_000
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_encode = msgspec.json.Encoder().encode
_any = msgspec.json.Decoder(msgspec.Raw)
_Values = list[bytes | None]
_Convert = Callable[[Any, Column | None], _Values]


def read_parquet(file: IO[bytes], reading: Reading) -> Iterator[Item]:
    """Yield each row of a Parquet file."""
    with parquet.ParquetFile(file) as opened:
        yield from _items(opened.schema_arrow, opened.iter_batches(batch_size=_ROWS), reading)


def read_arrow(file: IO[bytes], reading: Reading) -> Iterator[Item]:
    """Yield each row of an Arrow file or stream."""
    magic = file.read(6)
    file.seek(0)
    if magic == b"ARROW1":
        with ipc.open_file(file) as opened:
            batches = (opened.get_batch(number) for number in range(opened.num_record_batches))
            yield from _items(opened.schema, batches, reading)
    else:
        with ipc.open_stream(file) as stream:
            yield from _items(stream.schema, stream, reading)


def _items(schema: Any, batches: Any, reading: Reading) -> Iterator[Item]:
    """Yield the rows of record batches.

    Raises:
        ValueError: a column has a type that JSON has no form for, or two have one name.
    """
    if len({*schema.names}) != len(schema.names):
        raise ValueError("two columns have the same name")
    declared, row = {column.name: column for column in reading.table.record}, 0
    rows = JsonRows(naive_as_utc=reading.naive_as_utc)
    for field in schema:
        rows.check(field.type, field.name)
    names = [_encode(name) + b":" for name in schema.names]
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS):
            part = batch.slice(start, _ROWS)
            columns = [
                rows.column(column, declared.get(name)) for name, column in zip(schema.names, part.columns, strict=True)
            ]
            for values in zip(*columns, strict=True):
                yield Item(row, _object(names, values))
                row += 1


def _object(names: list[bytes], values: Any) -> bytes:
    return b"{" + b",".join(name + value for name, value in zip(names, values, strict=True) if value is not None) + b"}"


class JsonRows:
    """Turns Arrow arrays into the JSON of their values. `naive_as_utc`: timestamps without a time zone are in UTC."""

    def __init__(self, *, naive_as_utc: bool) -> None:
        self._naive_as_utc = naive_as_utc
        self._conversions: tuple[tuple[Callable[[Any], bool], _Convert], ...] = (
            (_is_text, _texts),
            (types.is_null, lambda array, _: [None] * len(array)),
            (lambda kind: types.is_boolean(kind) or types.is_integer(kind), _plain),
            (types.is_floating, _floats),
            (types.is_decimal, _decimals),
            (types.is_timestamp, self._timestamps),
            (types.is_date, _texts_of_days),
            (types.is_time, _times),
            (_is_binary, _binary),
            (types.is_map, self._maps),
            (_is_list, self._lists),
            (types.is_struct, self._structs),
            (types.is_dictionary, lambda array, column: self.column(array.dictionary_decode(), column)),
            (lambda kind: isinstance(kind, pa.BaseExtensionType), self._extensions),
        )

    def column(self, array: Any, column: Column | None) -> _Values:
        """Return the JSON of each value, None for a null. `column` is the declared one; None where there is none."""
        return self._conversion(array.type, "")(array, column)

    def check(self, kind: Any, path: str) -> None:
        """Check that values of the Arrow type `kind` have a JSON form.

        Raises:
            ValueError: they have none; the text names the column.
        """
        self._conversion(kind, path)
        if isinstance(kind, pa.BaseExtensionType):
            self.check(kind.storage_type, path)
        elif types.is_dictionary(kind):
            self.check(kind.value_type, path)
        elif types.is_map(kind):
            if not _is_text(kind.key_type):
                raise ValueError(f"the column {path} is a map whose keys are {kind.key_type}: expected texts")
            self.check(kind.item_type, f"{path}.value")
        elif types.is_nested(kind):
            for field in [kind.field(position) for position in range(kind.num_fields)]:
                self.check(field.type, f"{path}.{field.name}")

    def _conversion(self, kind: Any, path: str) -> _Convert:
        for is_of, convert in self._conversions:
            if is_of(kind):
                return convert
        raise ValueError(f"the column {path} has the type {kind}, which has no JSON form")

    def _timestamps(self, array: Any, _: Column | None) -> _Values:
        zone = b"" if array.type.tz is None and not self._naive_as_utc else b"Z"
        return _each(array.cast(pa.int64()), partial(_instant, per_second=_PER_SECOND[array.type.unit], zone=zone))

    def _lists(self, array: Any, column: Column | None) -> _Values:
        item = None if column is None or column.kind is Kind.JSON else column
        values, start = self.column(array.flatten(), item), 0
        lists: _Values = []
        for length in array.value_lengths().to_pylist():
            if length is None:
                lists.append(None)
                continue
            lists.append(b"[" + b",".join(value or b"null" for value in values[start : start + length]) + b"]")
            start += length
        return lists

    def _maps(self, array: Any, _: Column | None) -> _Values:
        keys, values = _texts(array.keys, None), self.column(array.items, None)
        offsets = array.offsets.to_pylist()
        return [
            b"{" + b",".join(_pair(keys[at], values[at]) for at in range(offsets[row], offsets[row + 1])) + b"}"
            if present
            else None
            for row, present in enumerate(array.is_valid().to_pylist())
        ]

    def _structs(self, array: Any, column: Column | None) -> _Values:
        declared = {field.name: field for field in column.fields} if column is not None else {}
        is_json = column is None or column.kind is Kind.JSON
        fields = [array.type.field(position).name for position in range(array.type.num_fields)]
        names = [_encode(name) + b":" for name in fields]
        children = [
            self.column(child, None) if is_json else self.column(child, declared.get(name))
            for name, child in zip(fields, array.flatten(), strict=True)
        ]
        rows = zip(*children, strict=True) if children else ([()] * len(array))
        return [
            _object(names, [b"null" if value is None and is_json else value for value in values]) if present else None
            for values, present in zip(rows, array.is_valid().to_pylist(), strict=True)
        ]

    def _extensions(self, array: Any, column: Column | None) -> _Values:
        name = array.type.extension_name
        if name == "arrow.uuid":
            return [None if value is None else _encode(str(value)) for value in array.to_pylist()]
        if name == "arrow.json":
            return [None if value is None else value.encode() for value in array.storage.to_pylist()]
        return self.column(array.storage, column)


def _is_text(kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_binary(kind: Any) -> bool:
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _is_list(kind: Any) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _each(array: Any, convert: Callable[[Any], bytes]) -> _Values:
    return [None if value is None else convert(value) for value in array.to_pylist()]


def _plain(array: Any, _: Column | None) -> _Values:
    return _each(array, _encode)


def _floats(array: Any, _: Column | None) -> _Values:
    """JSON has no NaN and no infinity: as texts they are rejected by name, not stored as something else."""
    finite = float("inf")
    return _each(array, lambda value: _encode(value) if -finite < value < finite else _encode(str(value)))


def _decimals(array: Any, column: Column | None) -> _Values:
    """A declared decimal or text is a text in JSON; anything else, a JSON column too, is a number with all digits."""
    is_text = column is not None and column.kind in {Kind.NUMERIC, Kind.STRING}
    return _each(array, lambda value: (f'"{value:f}"' if is_text else f"{value:f}").encode())


def _texts(array: Any, column: Column | None) -> _Values:
    """A text for a declared JSON column is what Parquet and Arrow make of JSON: an object or a list is taken as one."""
    if column is not None and column.kind is Kind.JSON:
        return _each(array, _json_or_text)
    return _each(array, _encode)


def _json_or_text(text: str) -> bytes:
    if text[:1] in {"{", "["}:
        try:
            _any.decode(text)
        except msgspec.DecodeError:
            return _encode(text)
        return text.encode()
    return _encode(text)


def _texts_of_days(array: Any, _: Column | None) -> _Values:
    return _each(array, lambda day: _encode(day.isoformat()))


def _instant(value: int, *, per_second: int, zone: bytes) -> bytes:
    """Return RFC 3339 with every digit of the fraction; a number outside the years 0001 to 9999, to be rejected."""
    seconds, fraction = divmod(value, per_second)
    if not MIN_US <= seconds * 10**6 <= MAX_US:
        return _encode(value)
    return b'"%b%b%b"' % (
        from_epoch_us(seconds * 10**6).replace(tzinfo=None).isoformat().encode(),
        _fraction(fraction, per_second),
        zone,
    )


def _times(array: Any, _: Column | None) -> _Values:
    per_second = _PER_SECOND[array.type.unit]
    whole = pa.int32() if types.is_time32(array.type) else pa.int64()
    return _each(array.cast(whole), partial(_time, per_second=per_second))


def _time(value: int, *, per_second: int) -> bytes:
    seconds, fraction = divmod(value, per_second)
    clock = f'"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}'
    return clock.encode() + _fraction(fraction, per_second) + b'"'


def _fraction(fraction: int, per_second: int) -> bytes:
    return b"." + str(per_second + fraction)[1:].rstrip("0").encode() if fraction else b""


def _binary(array: Any, _: Column | None) -> _Values:
    return _each(array, lambda value: b'"' + base64.b64encode(value) + b'"')


def _pair(key: bytes | None, value: bytes | None) -> bytes:
    return (key or b'""') + b":" + (value or b"null")
