"""What lies under a NULL in Arrow's buffers is undefined: reading an export never looks at it.

https://arrow.apache.org/docs/format/Columnar.html#validity-bitmaps: DuckDB leaves there what the memory held before.
"""

import asyncio
import io
import random
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any, get_args

import nanoarrow  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]

from app.query.answer.arrow import ArrowRows
from app.query.answer.encoders import StreamFormat, row_encoder
from app.query.answer.export import ExportBody
from app.query.request.scan import Scan
from app.runtime.instants import TimeRange
from app.schema.columns import Column, Kind, Mode
from app.stores.source import END_OF_STREAM

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GARBAGE = object()
"""A value that claims to be there, inside of a struct or a list that is NULL."""
_Made = tuple[Any, Any]  # a type and an array of it


def column_of(name: str, kind: Kind, mode: Mode, fields: tuple[Column, ...] = ()) -> Column:
    """Return a column."""
    return Column(name=name, attribute=name, kind=kind, mode=mode, fields=fields)


def _int_of(width: int) -> Callable[[int], bytes]:
    return lambda number: number.to_bytes(width, "little", signed=True)


def _us(value: time) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


FIXED: dict[Kind, tuple[Any, int, Callable[[Any], bytes], Any]] = {
    Kind.INT64: (nanoarrow.int64(), 8, _int_of(8), 7),
    Kind.TIME: (nanoarrow.time64("us"), 8, lambda value: _int_of(8)(_us(value)), time(23, 59, 59, 999_999)),
    Kind.DATE: (nanoarrow.date32(), 4, lambda day: _int_of(4)((day - EPOCH.date()).days), date(2026, 1, 31)),
    Kind.TIMESTAMP: (
        nanoarrow.timestamp("us", "UTC"),
        8,
        lambda at: _int_of(8)((at - EPOCH) // timedelta(microseconds=1)),
        datetime(2026, 1, 31, tzinfo=UTC),
    ),
    Kind.NUMERIC: (
        nanoarrow.decimal128(38, 9),
        16,
        lambda number: _int_of(16)(int(number.scaleb(9))),
        Decimal("-12.500000000"),
    ),
}
TEXTS: dict[Kind, tuple[Any, Callable[[Any], bytes], Any]] = {
    Kind.STRING: (nanoarrow.string(), str.encode, "é"),
    Kind.JSON: (nanoarrow.string(), bytes, Raw(b'{"a":1}')),
    Kind.BYTES: (nanoarrow.binary(), bytes, b"\x00\xff"),
}


def _validity(values: list[Any]) -> bytes:
    return sum((value is not None) << at for at, value in enumerate(values)).to_bytes(len(values) // 8 + 1, "little")


def _array(type_: Any, values: list[Any], *buffers: bytes, children: tuple[Any, ...] = ()) -> _Made:
    nulls = sum(value is None for value in values)
    made = nanoarrow.c_array_from_buffers(
        type_, len(values), [_validity(values), *buffers], null_count=nulls, children=children
    )
    return type_, made


def laid_out(column: Column, values: list[Any], rng: random.Random) -> _Made:
    """Return an array of `values`, with random bytes where there is none."""
    if column.mode is Mode.REPEATED:
        return _list(column, values, rng)
    if column.kind is Kind.STRUCT:
        return _struct(column, values, rng)
    if column.kind in FIXED:
        type_, width, pack, _ = FIXED[column.kind]
        return _array(type_, values, b"".join(rng.randbytes(width) if _absent(v) else pack(v) for v in values))
    if column.kind in TEXTS:
        text_type, encode, _ = TEXTS[column.kind]
        return _array(
            text_type, values, *_texts([b"\xff" + rng.randbytes(3) if _absent(v) else encode(v) for v in values])
        )
    if column.kind is Kind.FLOAT64:
        return _array(
            nanoarrow.float64(), values, b"".join(rng.randbytes(8) if _absent(v) else b"\0" * 8 for v in values)
        )
    flags = sum((rng.random() < 0.5 if _absent(v) else v) << at for at, v in enumerate(values))
    return _array(nanoarrow.bool_(), values, int(flags).to_bytes(len(values) // 8 + 1, "little"))


def _absent(value: Any) -> bool:
    return value is None or value is GARBAGE


def _texts(raws: list[bytes]) -> tuple[bytes, bytes]:
    ends = [0, *accumulate(map(len, raws))]
    return b"".join(end.to_bytes(4, "little") for end in ends), b"".join(raws)


def _struct(column: Column, values: list[Any], rng: random.Random) -> _Made:
    made = [laid_out(field, [GARBAGE if _absent(v) else v[field.name] for v in values], rng) for field in column.fields]
    types = {field.name: type_ for field, (type_, _) in zip(column.fields, made, strict=True)}
    return _array(nanoarrow.struct(types), values, children=tuple(array for _, array in made))


def _list(column: Column, values: list[Any], rng: random.Random) -> _Made:
    lists = [[GARBAGE] * rng.randrange(3) if _absent(v) else v for v in values]
    item = column_of(column.name, column.kind, Mode.NULLABLE, column.fields)
    type_, items = laid_out(item, [value for each in lists for value in each], rng)
    ends = [0, *accumulate(map(len, lists))]
    return _array(
        nanoarrow.list_(type_), values, b"".join(end.to_bytes(4, "little") for end in ends), children=(items,)
    )


def stream_of(columns: tuple[Column, ...], rows: list[dict[str, Any]], rng: random.Random) -> bytes:
    """Return a stream of `rows`, with random bytes under its NULLs."""
    made = {column.name: laid_out(column, [row[column.name] for row in rows], rng) for column in columns}
    types = nanoarrow.struct({name: type_ for name, (type_, _) in made.items()})
    batch = nanoarrow.c_array_from_buffers(types, len(rows), [None], children=[array for _, array in made.values()])
    sink = io.BytesIO()
    with StreamWriter.from_writable(sink) as writer:
        writer.write_stream(batch)
    return sink.getvalue()


EXAMPLES: dict[Kind, Any] = (
    {kind: example for kind, (*_, example) in FIXED.items()}
    | {kind: example for kind, (*_, example) in TEXTS.items()}
    | {Kind.FLOAT64: 0.0, Kind.BOOL: True}
)
LEAVES = tuple(column_of(kind.name.lower(), kind, Mode.NULLABLE) for kind in EXAMPLES)
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
        else st.just(EXAMPLES[column.kind])
    )
    return present if column.mode is Mode.REQUIRED else st.none() | present


ROWS = st.lists(st.fixed_dictionaries({column.name: values_of(column) for column in COLUMNS}), max_size=9)


def as_read(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as an export gives it: a list that is NULL is an empty one."""
    return {column.name: _empty(column, row[column.name]) for column in COLUMNS}


def _empty(column: Column, value: Any) -> Any:
    return [] if value is None and column.mode is Mode.REPEATED else value


def test_every_kind_has_a_value_here() -> None:
    """A new kind of column needs its line above."""
    assert set(Kind) == {*EXAMPLES, Kind.STRUCT}


@given(ROWS, st.integers(0, 2**32), st.integers(1, 9))
def test_what_lies_under_a_null_is_never_looked_at(rows: list[dict[str, Any]], seed: int, max_rows: int) -> None:
    """Whatever the bytes there are, in whatever nesting, the rows are the same, and every format can write them."""
    stream = stream_of(COLUMNS, rows, random.Random(seed))
    expected = list(map(as_read, rows))
    found = [row for part in ArrowRows(COLUMNS, max_rows=max_rows).row_lists(stream) for row in part]
    assert found == expected
    for form in get_args(StreamFormat):
        assert row_encoder(form, COLUMNS).encode(found) == row_encoder(form, COLUMNS).encode(expected)


@pytest.mark.parametrize("may_pass", [True, False])
async def test_a_caller_who_may_not_see_all_rows_gets_no_byte_from_under_a_null(*, may_pass: bool) -> None:
    """The store's own batches may hold what other rows held; written anew, they do not."""
    column, left = column_of("value", Kind.INT64, Mode.NULLABLE), random.Random(7).randbytes(8)
    stream = stream_of((column,), [{"value": None}, {"value": 7}], random.Random(7))
    schema = row_encoder("arrow", (column,)).begin()
    assert stream.startswith(schema)
    assert left in stream

    async def found() -> AsyncGenerator[bytes, None]:
        yield schema
        yield stream[len(schema) :].removesuffix(END_OF_STREAM)

    scan = Scan(table="t", window=TimeRange(0, 1), horizon_us=1, columns=(column,), format="arrow")
    body = ExportBody(scan, asyncio.Lock(), may_pass=may_pass)
    sent = b"".join([piece async for piece in body.pieces(found())])
    assert list(ArrowRows((column,)).row_lists(sent)) == [[{"value": None}, {"value": 7}]]
    assert (left in sent) == may_pass
