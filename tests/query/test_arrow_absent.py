"""What lies under a NULL in Arrow's buffers is undefined: reading an export never looks at it.

https://arrow.apache.org/docs/format/Columnar.html#validity-bitmaps: DuckDB leaves there what the memory held before.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import accumulate
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from app.query.answer.arrow import ArrowRows
from app.query.answer.encoders import StreamFormat, row_encoder
from app.query.answer.export import ExportBody
from app.query.request.scan import Scan
from app.runtime.instants import TimeRange
from app.schema.columns import Column, Kind, Mode
from app.stores.source import END_OF_STREAM

UNDEFINED = object()
"""A value that claims to be there, inside of a struct or a list that is NULL."""
KINDS: dict[Kind, tuple[Any, Any]] = {
    Kind.BOOL: (pa.bool_(), True),
    Kind.INT64: (pa.int64(), 7),
    Kind.FLOAT64: (pa.float64(), 0.5),
    Kind.NUMERIC: (pa.decimal128(38, 9), Decimal("-12.500000000")),
    Kind.STRING: (pa.string(), "é"),
    Kind.BYTES: (pa.binary(), b"\x00\xff"),
    Kind.TIMESTAMP: (pa.timestamp("us", "UTC"), datetime(2026, 1, 31, tzinfo=UTC)),
    Kind.DATE: (pa.date32(), date(2026, 1, 31)),
    Kind.TIME: (pa.time64("us"), time(23, 59, 59, 999_999)),
    Kind.JSON: (pa.string(), Raw(b'{"a":1}')),
}


def column_of(name: str, kind: Kind, mode: Mode, fields: tuple[Column, ...] = ()) -> Column:
    """Return a column."""
    return Column(name=name, attribute=name, kind=kind, mode=mode, fields=fields)


def laid_out(column: Column, values: list[Any], rng: random.Random) -> Any:
    """Return an array of `values`, with random bytes where there is none."""
    absent = [value is None or value is UNDEFINED for value in values]

    def filled(instead: Callable[[], Any]) -> list[Any]:
        return [instead() if gone else value for value, gone in zip(values, absent, strict=True)]

    children, buffers = list[Any](), list[Any]()
    if column.mode is Mode.REPEATED:
        lists = filled(lambda: [UNDEFINED] * rng.randrange(3))
        item = column_of(column.name, column.kind, Mode.NULLABLE, column.fields)
        children = [laid_out(item, [value for each in lists for value in each], rng)]
        made = pa.list_(children[0].type)
        buffers = pa.array([0, *accumulate(map(len, lists))], pa.int32()).buffers()[1:]
    elif column.kind is Kind.STRUCT:
        rows = filled(lambda: {field.name: UNDEFINED for field in column.fields})
        children = [laid_out(field, [row[field.name] for row in rows], rng) for field in column.fields]
        made = pa.struct([(field.name, child.type) for field, child in zip(column.fields, children, strict=True)])
    else:
        made, example = KINDS[column.kind]
        if column.kind in {Kind.STRING, Kind.BYTES, Kind.JSON}:
            raws = filled(lambda: b"\xff" + rng.randbytes(3))
            raws = [each.encode() if isinstance(each, str) else bytes(each) for each in raws]
            buffers = pa.array(raws, pa.binary()).buffers()[1:]
        elif column.kind is Kind.BOOL:
            buffers = pa.array(filled(lambda: rng.random() < 0.5), made).buffers()[1:]
        else:
            packed, width = bytearray(pa.array(filled(lambda: example), made).buffers()[1]), made.bit_width // 8
            for at in (at for at, gone in enumerate(absent) if gone):
                packed[at * width : (at + 1) * width] = rng.randbytes(width)
            buffers = [pa.py_buffer(bytes(packed))]
    validity = pa.array([value is not None for value in values], pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(made, len(values), [validity, *buffers], children=children)


def stream_of(columns: tuple[Column, ...], rows: list[dict[str, Any]], rng: random.Random) -> bytes:
    """Return a stream of `rows`, with random bytes under its NULLs."""
    arrays = [laid_out(column, [row[column.name] for row in rows], rng) for column in columns]
    batch = pa.record_batch(arrays, names=[column.name for column in columns])
    with pa.BufferOutputStream() as sink:
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())


LEAVES = tuple(column_of(kind.name.lower(), kind, Mode.NULLABLE) for kind in KINDS)
COLUMNS = (
    *LEAVES,
    *(column_of(f"{leaf.name}_list", leaf.kind, Mode.REPEATED) for leaf in LEAVES),
    column_of("site", Kind.STRUCT, Mode.NULLABLE, LEAVES),
    column_of("sites", Kind.STRUCT, Mode.REPEATED, LEAVES),
)


def values_of(column: Column) -> st.SearchStrategy[Any]:
    """Return values of `column`: often none."""
    if column.mode is Mode.REPEATED:
        item = column_of(column.name, column.kind, Mode.REQUIRED, column.fields)
        return st.none() | st.lists(values_of(item), max_size=3)
    present: st.SearchStrategy[Any] = (
        st.fixed_dictionaries({field.name: values_of(field) for field in column.fields})
        if column.kind is Kind.STRUCT
        else st.just(KINDS[column.kind][1])
    )
    return present if column.mode is Mode.REQUIRED else st.none() | present


ROWS = st.lists(st.fixed_dictionaries({column.name: values_of(column) for column in COLUMNS}), max_size=9)


def _read(column: Column, value: Any) -> Any:
    """Return a value as an export gives it: a list that is NULL is an empty one."""
    return [] if value is None and column.mode is Mode.REPEATED else value


@given(ROWS, st.integers(0, 2**32), st.integers(1, 9))
def test_what_lies_under_a_null_is_never_looked_at(rows: list[dict[str, Any]], seed: int, max_rows: int) -> None:
    """Whatever the bytes there are, in whatever nesting, the rows are the same, and every format can write them."""
    assert set(Kind) == {*KINDS, Kind.STRUCT}
    stream = stream_of(COLUMNS, rows, random.Random(seed))
    expected = [{column.name: _read(column, row[column.name]) for column in COLUMNS} for row in rows]
    found = [row for part in ArrowRows(COLUMNS, max_rows=max_rows).row_lists(stream) for row in part]
    assert found == expected
    for form in get_args(StreamFormat):
        assert row_encoder(form, COLUMNS).encode(found) == row_encoder(form, COLUMNS).encode(expected)


@pytest.mark.parametrize("may_pass", [True, False])
async def test_a_caller_who_may_not_see_all_rows_gets_no_byte_from_under_a_null(*, may_pass: bool) -> None:
    """The store's own batches may hold what other rows held; written anew, they do not."""
    column, left = column_of("value", Kind.INT64, Mode.NULLABLE), random.Random(7).randbytes(8)
    stream = stream_of((column,), [{"value": None}, {"value": 7}], random.Random(7))
    schema = stream[: 8 + int.from_bytes(stream[4:8], "little")]
    assert left in stream

    async def found() -> AsyncGenerator[bytes, None]:
        yield schema
        yield stream[len(schema) :].removesuffix(END_OF_STREAM)

    scan = Scan(table="t", window=TimeRange(0, 1), horizon_us=1, columns=(column,), format="arrow")
    body = ExportBody(scan, asyncio.Lock(), may_pass=may_pass)
    sent = b"".join([piece async for piece in body.pieces(found())])
    assert list(ArrowRows((column,)).row_lists(sent)) == [[{"value": None}, {"value": 7}]]
    assert (left in sent) == may_pass
