"""How an export is read as rows."""

import io
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import nanoarrow  # type: ignore[import-untyped]
import pytest
from nanoarrow.ipc import StreamWriter  # type: ignore[import-untyped]

from app.query.answer.arrow import ArrowRows
from app.query.answer.encoders import row_encoder
from app.schema.columns import Column
from app.stores.source import END_OF_STREAM
from tests.query.sample_rows import COLUMNS, sample_row

ENCODER = row_encoder("arrow", COLUMNS)


async def arriving(*pieces: bytes) -> AsyncIterator[bytes]:
    """Give pieces one by one."""
    for piece in pieces:
        yield piece


def read(columns: tuple[Column, ...], *pieces: bytes, max_rows: int = 1_000) -> list[list[dict[str, Any]]]:
    """Return the lists of rows that pieces are read as."""
    reader = ArrowRows(columns, max_rows=max_rows)
    return [rows for piece in pieces for rows in reader.row_lists(piece)]


def stream_of(name: str, type_: Any, values: bytes, length: int) -> bytes:
    """Return a stream of one column, whose values are laid out in `values`."""
    column = nanoarrow.c_array_from_buffers(type_, length, [None, values])
    batch = nanoarrow.c_array_from_buffers(nanoarrow.struct({name: type_}), length, [None], children=[column])
    sink = io.BytesIO()
    with StreamWriter.from_writable(sink) as writer:
        writer.write_stream(batch)
    return sink.getvalue()


def test_a_piece_may_be_several_messages() -> None:
    """As when a store sends a short result at once."""
    one = ENCODER.encode([sample_row()])
    assert read(COLUMNS, ENCODER.begin() + one, one + ENCODER.end()) == [[sample_row()], [sample_row()]]
    assert read(COLUMNS, ENCODER.begin() + END_OF_STREAM) == []


def test_a_widened_decimal_is_read_exactly() -> None:
    """BigQuery has BIGNUMERIC where somebody widened a column to it."""
    number = -(10**75) - 1
    stream = stream_of("price", nanoarrow.decimal256(76, 38), number.to_bytes(32, "little", signed=True), 1)
    assert read((), stream) == [[{"price": Decimal(f"-{10**37}.{1:038}")}]]


def test_a_type_that_no_record_has_is_named() -> None:
    """Rather than read as something else."""
    stream = stream_of("n", nanoarrow.int16(), b"\x00\x00", 1)
    with pytest.raises(ValueError, match="the column n has the type s, which no record type declares"):
        read((), stream)


@pytest.mark.parametrize(
    ("begin", "kept", "message"),
    [*(([ENCODER.begin()], kept, "Expected") for kept in (1, 8, 100, -1)), ([], None, "expected Schema")],
)
def test_a_piece_that_breaks_off_or_has_no_schema_is_an_error(
    begin: list[bytes], kept: int | None, message: str
) -> None:
    """Rows are never left out without a word."""
    with pytest.raises(RuntimeError, match=message):
        read(COLUMNS, *begin, ENCODER.encode([sample_row()])[:kept])
