"""Read an Arrow IPC stream, such as an export yields, as rows in the form that a QueryRunner returns.

Values are decoded column by column from Arrow's buffers
(https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout), a thousand rows at a time, so that
memory stays flat for any batch size. nanoarrow is imported when the first batch arrives.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from itertools import pairwise
from operator import and_
from typing import Any

from msgspec import Raw

from app.runtime.instants import SECOND_US, clamp, from_epoch_us
from app.schema.columns import Column, Kind
from app.stores.source import Row

MAX_ROWS = 1_000  # about 5 ms of work, read and written: short enough to block an event loop
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_exact = Context(prec=80)  # BIGNUMERIC has 77 digits at most
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

    def read(self, piece: bytes) -> Generator[list[Row], None, None]:
        """Yield the rows of the next piece, at most `max_rows` at once.

        A piece is one or more whole messages of the stream; the first piece begins with the schema message. Rows of a
        piece that is not read to its end are lost.

        Raises:
            ValueError: a column has a type that no record type has.
            RuntimeError: the piece breaks off within a message, or the first does not begin with a schema.
        """
        import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - only exports need it
        from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

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
    """Yield the rows of the Arrow IPC stream in `pieces`, at most MAX_ROWS at once; see `ArrowRows.read`."""
    reader = ArrowRows(columns)
    async for piece in pieces:
        for rows in reader.read(piece):
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
        case "+l" | "+L":
            return _list_decoder(_decoder(schema.child(0), column))
        case "u" | "U" if column and column.kind is Kind.JSON:
            return _nullable(_slices(Raw))
        case "d":
            return _nullable(_decimals(scale=int(parameters.split(",")[1])))
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


def _decimals(scale: int) -> _Decode:
    def decimal(raw: bytes) -> Decimal:
        return Decimal(int.from_bytes(raw, "little", signed=True)).scaleb(-scale, _exact)

    def decode(view: Any, start: int, length: int, present: _Present) -> list[Any]:
        items = memoryview(view.buffer(1))  # nanoarrow's own `elements` returns all of them, whatever the range
        width, whole = items.itemsize, bytes(items[start : start + length])
        return _converted(decimal, [whole[at : at + width] for at in range(0, len(whole), width)], present)

    return decode


def _instant(instant_us: int) -> datetime:
    try:
        return _EPOCH + timedelta(0, 0, instant_us)
    except OverflowError:  # beyond Python's years: the nearest representable instant
        return from_epoch_us(clamp(instant_us))


def _date(day: int) -> date:
    return date.fromordinal(min(max(day + _EPOCH_DAY, date.min.toordinal()), date.max.toordinal()))


def _time(time_us: int) -> time:
    seconds, microsecond = divmod(time_us, SECOND_US)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return time(hour, minute, second, microsecond)


_SCALARS: dict[str, _Decode] = {
    "u": _texts,
    "U": _texts,
    "z": _slices(bytes),
    "Z": _slices(bytes),
    "tsu": _each(_instant),  # in any zone: the value counts from the epoch in UTC
    "b": _each(bool),
    "l": _primitives,
    "g": _primitives,
    "tdD": _each(_date),
    "ttu": _each(_time),
}
