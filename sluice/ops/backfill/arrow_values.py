"""Read the rows of Parquet and Arrow files as JSON records.

A null is no member, so the declared default counts; inside of a JSON column it stays null.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any

import msgspec
import pyarrow as pa
from pyarrow import ipc, parquet, types

from app.schema.columns import Column, Kind
from sluice.ops.backfill.formats import Item, Reading, json_or_text

_ROWS = 1_000
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


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
    if len({*schema.names}) != len(schema.names):
        raise ValueError("two columns have the same name")
    declared, row = {column.name: column for column in reading.table.record}, 0
    readable = [_readable(field.type, "UTC" if reading.naive_as_utc else None) for field in schema]
    for batch in batches:
        for start in range(0, batch.num_rows, _ROWS):
            columns = [
                (column if column.type == kind else column.cast(kind, safe=False)).to_pylist(maps_as_pydicts="strict")
                for column, kind in zip(batch.slice(start, _ROWS).columns, readable, strict=True)
            ]
            for values in zip(*columns, strict=True):
                members = zip(schema.names, values, strict=True)
                yield Item(
                    row, _encode({name: _plain(each, declared.get(name)) for name, each in members if each is not None})
                )
                row += 1


def _readable(kind: Any, zone: str | None) -> Any:
    """Return the Arrow type whose values Python can hold: microseconds, at any depth; `zone` where there is none."""
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz or zone)
    if types.is_time64(kind):
        return pa.time64("us")
    if types.is_map(kind):
        return pa.map_(kind.key_type, _readable(kind.item_type, zone))
    if types.is_list(kind):
        return pa.list_(_readable(kind.value_type, zone))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_readable(field.type, zone)) for field in kind.fields])
    return kind


def _plain(value: Any, column: Column | None) -> Any:
    """Return a value as it is encoded; `column` is the declared one of its name, None inside of a JSON column."""
    is_json = column is None or column.kind is Kind.JSON
    match value:
        case float() if not math.isfinite(value):
            return str(value)  # JSON has no such number: it is rejected by name, not stored as something else
        case Decimal() if column is not None and column.kind is Kind.STRING:
            return f"{value:f}"
        case str() if column is not None and is_json:
            return json_or_text(value) if value[:1] in {"{", "["} else value
        case list():
            return [_plain(item, None if is_json else column) for item in value]
        case dict():
            declared = {} if column is None else {field.name: field for field in column.fields}
            return {
                name: _plain(each, declared.get(name)) for name, each in value.items() if is_json or each is not None
            }
        case _:
            return value
