"""Read the rows of Parquet files as JSON records.

A null is no member, so the declared default counts; inside of a JSON column it stays null.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import IO, Any

import msgspec
import pyarrow as pa
from pyarrow import parquet, types

from app.schema.columns import Column, Kind
from sluice.ops.backfill.formats import Item, Reading, json_or_text

_ROWS = 1_000
_encode = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode


def read_parquet(file: IO[bytes], reading: Reading) -> Iterator[Item]:
    """Yield each row of a Parquet file."""
    declared = {column.name: column for column in reading.table.record}
    with parquet.ParquetFile(file) as opened:
        schema = opened.schema_arrow
        if len({*schema.names}) != len(schema.names):
            raise ValueError("two columns have the same name")
        readable = pa.schema([field.with_type(_readable(field.type)) for field in schema])
        batches = (batch.cast(readable, safe=False) for batch in opened.iter_batches(batch_size=_ROWS))
        rows = (row for batch in batches for row in batch.to_pylist(maps_as_pydicts="strict"))
        for number, row in enumerate(rows):
            members = {name: _plain(value, declared.get(name)) for name, value in row.items() if value is not None}
            yield Item(number, _encode(members))


def _readable(kind: Any) -> Any:
    """Return the Arrow type whose values Python can hold: microseconds, at any depth."""
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if types.is_time64(kind):
        return pa.time64("us")
    if types.is_map(kind):
        return pa.map_(kind.key_type, _readable(kind.item_type))
    if types.is_list(kind):
        return pa.list_(_readable(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_readable(field.type)) for field in kind.fields])
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
