"""The rows of a span as bytes: as objects they would take three times the memory, and time to collect garbage.

A chunk consists of blocks, and a reader decodes only those that it needs. A row is MessagePack with every type that a
QueryRunner returns (app.stores.source).
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypedDict

import msgspec

from app.query.request.scan import position_of
from app.runtime.time_range import TimeRange
from app.schema.columns import Column, Kind, Mode
from app.stores.query import Position
from app.stores.source import Row

_BLOCK_ROWS = 256
_OVERHEAD = 300  # bytes of a block's objects, beyond its rows
_TYPES: dict[Kind, Any] = {
    Kind.BOOL: bool,
    Kind.INT64: int,
    Kind.FLOAT64: float,
    Kind.NUMERIC: Decimal,
    Kind.STRING: str,
    Kind.BYTES: bytes,
    Kind.TIMESTAMP: datetime,
    Kind.DATE: date,
    Kind.TIME: time,
    Kind.JSON: bytes,
}


class Block(msgspec.Struct, frozen=True, gc=False):
    """Some rows in order: the positions of the first and of the last, and all of them as bytes."""

    first: Position
    last: Position
    count: int
    data: bytes


class Chunk(TimeRange, frozen=True):
    """All originals of a table stamped in a range, in order; `billed` is what it cost to read them."""

    blocks: tuple[Block, ...]
    billed: int | None = None

    @property
    def row_count(self) -> int:
        """How many rows it has."""
        return sum(block.count for block in self.blocks)

    @property
    def size(self) -> int:
        """How many bytes of memory it takes."""
        return _OVERHEAD + sum(_OVERHEAD + len(block.data) for block in self.blocks)


class RowCodec:
    """Writes the rows of one table as bytes, and reads them back as they were."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._decoder = msgspec.msgpack.Decoder(list[_row_type("Row", self._columns)])  # type: ignore[misc] # a type
        self._json = [column for column in self._columns if _has_json(column)]

    def blocks(self, rows: Sequence[tuple[Position, Row]]) -> tuple[Block, ...]:
        """Return rows, each with its position, as blocks.

        Raises:
            TypeError, ValueError, msgspec.ValidationError: a row has a value that its column does not declare.
        """
        blocks = []
        for start in range(0, len(rows), _BLOCK_ROWS):
            some = rows[start : start + _BLOCK_ROWS]
            data = msgspec.msgpack.encode([self._plain(row) for _, row in some])
            self._decoder.decode(data)  # a store may return what no type declares, such as a year beyond Python's
            blocks.append(Block(some[0][0], some[-1][0], len(some), data))
        return tuple(blocks)

    def rows(self, block: Block) -> list[Row]:
        """Return the rows of a block."""
        rows: list[Row] = self._decoder.decode(block.data)
        for column in self._json:
            for row in rows:
                row[column.name] = _with_json(row[column.name], column, msgspec.Raw)
        return rows

    def _plain(self, row: Row) -> Row:
        if not self._json:
            return row
        return row | {column.name: _with_json(row[column.name], column, bytes) for column in self._json}


def _row_type(name: str, columns: Sequence[Column]) -> Any:
    fields = {column.name: _value_type(f"{name}_{number}", column) for number, column in enumerate(columns)}
    return TypedDict(name, fields)  # type: ignore[operator] # made at run time


def _value_type(name: str, column: Column) -> Any:
    item: Any = _row_type(name, column.fields) if column.kind is Kind.STRUCT else _TYPES[column.kind]
    return list[item] if column.mode is Mode.REPEATED else item | None


def _has_json(column: Column) -> bool:
    return column.kind is Kind.JSON or any(map(_has_json, column.fields))


def _with_json(value: Any, column: Column, make: Any) -> Any:
    """Return a column's value with `make` of each JSON in it."""
    if value is None:
        return None
    if isinstance(value, list):
        return [_with_json(item, column, make) for item in value]
    if column.kind is Kind.JSON:
        return make(value)
    changed = {field.name: _with_json(value[field.name], field, make) for field in column.fields if _has_json(field)}
    return value | changed


def rows_between(
    chunk: Chunk, codec: RowCodec, *, low: Position, high: Position, descending: bool
) -> Iterator[list[Row]]:
    """Yield the rows of a chunk in [low, high), a block at a time, in order or, `descending`, in the reverse."""
    for block in reversed(chunk.blocks) if descending else chunk.blocks:
        if block.last < low or block.first >= high:
            continue
        rows = codec.rows(block)
        if block.first < low or block.last >= high:
            rows = [row for row in rows if low <= position_of(row) < high]
        yield rows[::-1] if descending else rows
