"""Rows as an Arrow IPC stream: the schema message, one record batch for each list of rows, the end marker.

The format is https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format, and the types are those that
QueryRunner.arrow promises. A value that a type cannot hold is replaced by the nearest one, so that one odd row does
not fail its page. Such a value is an instant outside the years 0001 to 9999, or a decimal of a column that was widened
to BIGNUMERIC.
"""

import io
from array import array
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal
from itertools import accumulate
from typing import Any

from msgspec import Raw

from app.runtime.instants import DAY_US, MAX_US, MIN_US, SECOND_US
from app.schema.columns import Column, Kind, Mode
from app.stores.source import END_OF_STREAM, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_BILLION = 10**9
_MAX_NUMERIC = 10**38 - 1
_exact = Context(prec=160)  # more digits than a BIGNUMERIC has


class ArrowEncoder:
    """Writes one record batch for each list of rows; creating an encoder imports nanoarrow."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - only Arrow responses need it

        self._columns = columns
        self._schema = nanoarrow.c_schema(nanoarrow.struct(_fields(columns), nullable=False))

    def begin(self) -> bytes:
        """Return the schema message."""
        from nanoarrow.c_array_stream import CArrayStream  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

        return _message(CArrayStream.from_c_arrays([], self._schema), write_schema=True)

    def rows(self, rows: list[Row]) -> bytes:
        """Return the message of one record batch."""
        if not rows:
            return b""
        pairs = zip(self._columns, self._schema.children, strict=True)
        arrays = [_array(column, schema, [row[column.name] for row in rows]) for column, schema in pairs]
        return _message(_assembled(self._schema, len(rows), [None], arrays), write_schema=False)

    def end(self) -> bytes:
        """Return the end marker."""
        return END_OF_STREAM


def _message(content: Any, *, write_schema: bool) -> bytes:
    from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]  # noqa: PLC0415 - as above

    sink = io.BytesIO()
    writer = StreamWriter.from_writable(sink)
    writer.write_stream(content, write_schema=write_schema)
    writer.release()  # `close` would add the end marker
    return sink.getvalue()


def _fields(columns: tuple[Column, ...]) -> dict[str, Any]:
    return {column.name: _type(column) for column in columns}


def _type(column: Column) -> Any:
    import nanoarrow  # noqa: PLC0415 - as above

    makers: dict[Kind, Callable[..., Any]] = {
        Kind.BOOL: nanoarrow.bool_,
        Kind.INT64: nanoarrow.int64,
        Kind.FLOAT64: nanoarrow.float64,
        Kind.NUMERIC: lambda nullable: nanoarrow.decimal128(38, 9, nullable),
        Kind.STRING: nanoarrow.string,
        Kind.BYTES: nanoarrow.binary,
        Kind.TIMESTAMP: lambda nullable: nanoarrow.timestamp("us", "UTC", nullable),
        Kind.DATE: nanoarrow.date32,
        Kind.TIME: lambda nullable: nanoarrow.time64("us", nullable),
        Kind.JSON: nanoarrow.string,
        Kind.STRUCT: lambda nullable: nanoarrow.struct(_fields(column.fields), nullable),
    }
    schema = makers[column.kind](nullable=column.mode is Mode.NULLABLE)
    return nanoarrow.list_(schema, nullable=False) if column.mode is Mode.REPEATED else schema


def _assembled(schema: Any, length: int, buffers: list[Any], children: list[Any]) -> Any:
    import nanoarrow  # noqa: PLC0415 - as above

    return nanoarrow.c_array_from_buffers(schema, length, buffers, children=children)


def _array(column: Column, schema: Any, values: list[Any]) -> Any:
    if column.mode is not Mode.REPEATED:
        return _item_array(column, schema, values)
    lists = [value or () for value in values]  # BigQuery has no NULL lists: they read as empty ones
    offsets = array("i", accumulate(map(len, lists), initial=0))
    items = _item_array(column, schema.child(0), [item for each in lists for item in each])
    return _assembled(schema, len(values), [None, offsets], [items])


def _item_array(column: Column, schema: Any, values: list[Any]) -> Any:
    validity, full = _without_nulls(column, values)
    match column.kind:
        case Kind.STRUCT:
            children = [
                _array(field, schema.child(index), [value.get(field.name) for value in full])
                for index, field in enumerate(column.fields)
            ]
            return _assembled(schema, len(values), [validity], children)
        case Kind.STRING:
            pieces = [value.encode() for value in full]
            return _assembled(schema, len(values), [validity, _offsets(pieces), b"".join(pieces)], [])
        case Kind.BYTES | Kind.JSON:
            return _assembled(schema, len(values), [validity, _offsets(full), b"".join(full)], [])
        case kind:
            return _assembled(schema, len(values), [validity, _FIXED[kind](full)], [])


def _without_nulls(column: Column, values: list[Any]) -> tuple[bytes | None, list[Any]]:
    """Return the validity bitmap (None: all are valid), and the values with a placeholder for each null."""
    if None not in values:
        return None, values
    placeholder = _placeholder(column)
    return _bitmap([value is not None for value in values]), [
        placeholder if value is None else value for value in values
    ]


def _placeholder(column: Column) -> Any:
    """Return the placeholder for a null: readers check it against the declaration, too."""
    if column.kind is not Kind.STRUCT:
        return _PLACEHOLDERS[column.kind]
    return {field.name: _placeholder(field) for field in column.fields if field.mode is Mode.REQUIRED}


def _bitmap(flags: list[bool]) -> bytes:
    digits = "".join(["1" if flag else "0" for flag in reversed(flags)])
    return int(digits, 2).to_bytes((len(flags) + 7) // 8, "little") if flags else b""


def _offsets(values: list[Any]) -> "array[int]":
    return array("i", accumulate(map(len, values), initial=0))


def _instants(values: list[datetime | str]) -> "array[int]":
    return array("q", [_microseconds(value) for value in values])


def _microseconds(value: datetime | str) -> int:
    if isinstance(value, str):  # beyond Python's years, as DuckDB writes it
        return MIN_US if _is_before(value) else MAX_US
    since = value - _EPOCH
    return since.days * DAY_US + since.seconds * SECOND_US + since.microseconds


def _is_before(text: str) -> bool:
    return text.startswith("-") or "(BC)" in text


def _days(values: list[date | str]) -> "array[int]":
    return array("i", [_day(value) for value in values])


def _day(value: date | str) -> int:
    if isinstance(value, str):
        value = date.min if _is_before(value) else date.max
    return value.toordinal() - _EPOCH_DAY


def _times(values: list[time]) -> "array[int]":
    return array(
        "q",
        [((value.hour * 60 + value.minute) * 60 + value.second) * SECOND_US + value.microsecond for value in values],
    )


def _decimals(values: list[Decimal]) -> bytes:
    return b"".join([_billionths(value).to_bytes(16, "little", signed=True) for value in values])


def _billionths(value: Decimal) -> int:
    billionths = int(_exact.multiply(value, _BILLION).to_integral_value())
    return min(max(billionths, -_MAX_NUMERIC), _MAX_NUMERIC)


_FIXED: dict[Kind, Callable[[list[Any]], Any]] = {
    Kind.BOOL: _bitmap,
    Kind.INT64: lambda values: array("q", values),
    Kind.FLOAT64: lambda values: array("d", values),
    Kind.NUMERIC: _decimals,
    Kind.TIMESTAMP: _instants,
    Kind.DATE: _days,
    Kind.TIME: _times,
}
_PLACEHOLDERS: dict[Kind, Any] = {
    Kind.BOOL: False,
    Kind.INT64: 0,
    Kind.FLOAT64: 0.0,
    Kind.NUMERIC: Decimal(0),
    Kind.STRING: "",
    Kind.BYTES: b"",
    Kind.TIMESTAMP: _EPOCH,
    Kind.DATE: date(1970, 1, 1),
    Kind.TIME: time(),
    Kind.JSON: Raw(b"null"),
}
