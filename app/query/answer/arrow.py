"""Rows as an Arrow IPC stream, and back: the schema message, one record batch for each list of rows, the end marker.

The format is https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format, and the types are those that
QueryRunner.arrow promises. A decimal of a column that was widened to BIGNUMERIC is replaced by the nearest one that the
type holds, so that one odd row does not fail its page.

Streams such as an export yields are read column by column from Arrow's buffers
(https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout), a thousand rows at a time, so that memory
stays flat for any batch size. nanoarrow is imported when the first batch is written or read.
"""

import io
from array import array
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from itertools import accumulate, pairwise
from operator import and_
from typing import Any, NamedTuple

from msgspec import Raw

from app.runtime.instants import SECOND_US, epoch_us
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

    def encode(self, rows: list[Row]) -> bytes:
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

    is_nullable = column.mode is Mode.NULLABLE
    if column.kind is Kind.STRUCT:
        schema = nanoarrow.struct(_fields(column.fields), is_nullable)
    else:
        maker, units, *_ = _KINDS[column.kind]
        schema = getattr(nanoarrow, maker)(*units, nullable=is_nullable)
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
            return _assembled(schema, len(values), [validity, _KINDS[kind].pack(full)], [])


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
        return _KINDS[column.kind].placeholder
    return {field.name: _placeholder(field) for field in column.fields if field.mode is Mode.REQUIRED}


def _bitmap(flags: list[bool]) -> bytes:
    digits = "".join(["1" if flag else "0" for flag in reversed(flags)])
    return int(digits, 2).to_bytes((len(flags) + 7) // 8, "little") if flags else b""


def _offsets(values: list[Any]) -> "array[int]":
    return array("i", accumulate(map(len, values), initial=0))


def _instants(values: list[datetime]) -> "array[int]":
    return array("q", map(epoch_us, values))


def _days(values: list[date]) -> "array[int]":
    return array("i", [value.toordinal() - _EPOCH_DAY for value in values])


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


class _Kind(NamedTuple):
    """How values of a kind are written: nanoarrow's function of the type, and what stands where there is none."""

    maker: str
    units: tuple[Any, ...]
    placeholder: Any
    pack: Callable[[list[Any]], Any]
    """Returns the buffer of values of one size; texts and bytes have two."""


_KINDS: dict[Kind, _Kind] = {
    Kind.BOOL: _Kind("bool_", (), False, _bitmap),
    Kind.INT64: _Kind("int64", (), 0, lambda values: array("q", values)),
    Kind.FLOAT64: _Kind("float64", (), 0.0, lambda values: array("d", values)),
    Kind.NUMERIC: _Kind("decimal128", (38, 9), Decimal(0), _decimals),
    Kind.STRING: _Kind("string", (), "", _offsets),
    Kind.BYTES: _Kind("binary", (), b"", _offsets),
    Kind.TIMESTAMP: _Kind("timestamp", ("us", "UTC"), _EPOCH, _instants),
    Kind.DATE: _Kind("date32", (), _EPOCH.date(), _days),
    Kind.TIME: _Kind("time64", ("us",), time(), _times),
    Kind.JSON: _Kind("string", (), Raw(b"null"), _offsets),
}

MAX_ROWS = 1_000  # about 5 ms of work, read and written: short enough to block an event loop
# Decodes a range of a column, given an array's view, the start and length of the range, and which of its values are
# present (None: all). The buffer content of an absent value is undefined, so it is never decoded. Arrays read from a
# stream begin where their buffers do (their `offset` is 0).
_Present = Sequence[bool] | None
_Decode = Callable[[Any, int, int, _Present], list[Any]]


class ArrowRows:
    """Reads one stream; `columns` says which texts are JSON. Columns that it does not name are read, too."""

    def __init__(self, columns: tuple[Column, ...], *, max_rows: int = MAX_ROWS) -> None:
        self._columns, self._max_rows = columns, max_rows
        self._schema = b""

    def row_lists(self, piece: bytes) -> Generator[list[Row], None, None]:
        """Yield the rows of the next piece, at most `max_rows` at once.

        A piece is one or more whole messages of the stream; the first piece begins with the schema message. Rows of a
        piece that is not read to its end are lost.

        Raises:
            ValueError: a column has a type that no record type has.
            RuntimeError: the piece breaks off within a message, or the first does not begin with a schema.
        """
        import nanoarrow  # noqa: PLC0415 - only exports need it
        from nanoarrow.ipc import InputStream  # noqa: PLC0415 - likewise

        if not self._schema:
            # A message has a marker and the length of the rest; a schema message has no body after that.
            length = 8 + int.from_bytes(piece[4:8], "little")
            self._schema, piece = piece[:length], piece[length:]
        # nanoarrow reads whole streams only: each piece becomes one of its own.
        with InputStream.from_readable(self._schema + piece) as source, nanoarrow.c_array_stream(source) as stream:
            decode = _row_decoder(stream.get_schema(), self._columns)
            for batch in stream:
                view = batch.view()
                for start in range(0, len(batch), self._max_rows):
                    yield decode(view, start, min(self._max_rows, len(batch) - start), None)


async def rows_of_arrow(columns: tuple[Column, ...], pieces: AsyncIterable[bytes]) -> AsyncGenerator[list[Row], None]:
    """Yield the rows of the Arrow IPC stream in `pieces`, at most MAX_ROWS at once; see `ArrowRows.row_lists`."""
    reader = ArrowRows(columns)
    async for piece in pieces:
        for rows in reader.row_lists(piece):
            yield rows


def _row_decoder(schema: Any, columns: tuple[Column, ...]) -> _Decode:
    declared = {column.name: column for column in columns}
    children = list(schema.children)
    names = [child.name for child in children]
    decoders = [_decoder(child, declared.get(child.name)) for child in children]

    def decode(view: Any, start: int, length: int, present: _Present) -> list[Any]:
        values = [decode_one(view.child(index), start, length, present) for index, decode_one in enumerate(decoders)]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        return rows if present is None else _masked(rows, present)

    return _nullable(decode)


def _decoder(schema: Any, column: Column | None) -> _Decode:
    """Return the decoder of a column, by its Arrow type in the notation of the C data interface.

    https://arrow.apache.org/docs/format/CDataInterface.html#data-type-description-format-strings
    """
    kind, _, parameters = schema.format.partition(":")
    match kind:
        case "+s":
            return _row_decoder(schema, column.fields if column else ())
        case "+l":
            return _list_decoder(_decoder(schema.child(0), column))
        case "u" if column and column.kind is Kind.JSON:
            return _nullable(_slices(Raw))
        case "d":
            return _nullable(_decimal_values(scale=int(parameters.split(",")[1])))
        case _ if (read := _SCALARS.get(kind)) is not None:
            return _nullable(read)
        case _:
            raise ValueError(f"the column {schema.name} has the type {schema.format}, which no record type declares")


def _nullable(decode: _Decode) -> _Decode:
    """Return `decode` with None where the array, or the struct or list around it, is null; [] where it is empty."""

    def decode_nullable(view: Any, start: int, length: int, present: _Present) -> list[Any]:
        if length == 0:  # an empty array may have no buffers, not even offsets
            return []
        if view.null_count != 0:
            own = [bool(is_valid) for is_valid in view.buffer(0).elements(start, length)]
            present = own if present is None else list(map(and_, present, own))
        return decode(view, start, length, present)

    return decode_nullable


def _masked(values: Sequence[Any], present: Sequence[bool]) -> list[Any]:
    return [value if is_present else None for value, is_present in zip(values, present, strict=True)]


def _list_decoder(decode_items: _Decode) -> _Decode:
    # A list that is NULL was stored as an empty one; the items between its offsets are undefined as well.
    def decode(view: Any, start: int, length: int, present: _Present) -> list[Any]:
        ends = _ends(view, start, length)
        first = ends[0]
        spans = [(low - first, high - first) for low, high in pairwise(ends)]
        of_items = None
        if present is not None:
            of_items = [
                is_present for is_present, (low, high) in zip(present, spans, strict=True) for _ in range(high - low)
            ]
        items = decode_items(view.child(0), first, ends[-1] - first, of_items)
        if present is None:
            return [items[low:high] for low, high in spans]
        return [items[low:high] if is_present else [] for is_present, (low, high) in zip(present, spans, strict=True)]

    return _nullable(decode)


def _ends(view: Any, start: int, length: int) -> list[int]:
    """Return where each value begins, and where the last one ends."""
    return memoryview(view.buffer(1))[start : start + length + 1].tolist()


def _texts(view: Any, start: int, length: int, present: _Present) -> list[Any]:
    ends = _ends(view, start, length)
    whole = bytes(memoryview(view.buffer(2))[ends[0] : ends[-1]])
    if not whole.isascii():  # value by value: the bytes of an absent one need not be UTF-8
        return _slices(bytes.decode)(view, start, length, present)
    text, first = whole.decode(), ends[0]
    values = [text[low - first : high - first] for low, high in pairwise(ends)]
    return values if present is None else _masked(values, present)


def _slices(make: Callable[[bytes], Any]) -> _Decode:
    def decode(view: Any, start: int, length: int, present: _Present) -> list[Any]:
        ends = _ends(view, start, length)
        whole, first = bytes(memoryview(view.buffer(2))[ends[0] : ends[-1]]), ends[0]
        return _converted(make, [whole[low - first : high - first] for low, high in pairwise(ends)], present)

    return decode


def _converted(convert: Callable[[Any], Any], values: Sequence[Any], present: _Present) -> list[Any]:
    if present is None:
        return list(map(convert, values))
    return [convert(value) if is_present else None for value, is_present in zip(values, present, strict=True)]


def _primitives(view: Any, start: int, length: int, present: _Present) -> list[Any]:
    values = list(view.buffer(1).elements(start, length))
    return values if present is None else _masked(values, present)


def _each(convert: Callable[[Any], Any]) -> _Decode:
    def decode(view: Any, start: int, length: int, present: _Present) -> list[Any]:
        return _converted(convert, list(view.buffer(1).elements(start, length)), present)

    return decode


def _decimal_values(scale: int) -> _Decode:
    def decimal(raw: bytes) -> Decimal:
        return Decimal(int.from_bytes(raw, "little", signed=True)).scaleb(-scale, _exact)

    def decode(view: Any, start: int, length: int, present: _Present) -> list[Any]:
        items = memoryview(view.buffer(1))  # nanoarrow's own `elements` returns all of them, whatever the range
        width, whole = items.itemsize, bytes(items[start : start + length])
        return _converted(decimal, [whole[at : at + width] for at in range(0, len(whole), width)], present)

    return decode


def _instant(instant_us: int) -> datetime:
    return _EPOCH + timedelta(0, 0, instant_us)  # faster than from_epoch_us


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH_DAY)


def _time(time_us: int) -> time:
    seconds, microsecond = divmod(time_us, SECOND_US)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return time(hour, minute, second, microsecond)


_SCALARS: dict[str, _Decode] = {
    "u": _texts,
    "z": _slices(bytes),
    "tsu": _each(_instant),  # in any zone: the value counts from the epoch in UTC
    "b": _each(bool),
    "l": _primitives,
    "g": _primitives,
    "tdD": _each(_date),
    "ttu": _each(_time),
}
