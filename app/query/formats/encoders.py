"""Rows as bytes, piece by piece: the same encoder writes a page and a stream."""

from typing import Literal, Protocol, assert_never

import msgspec

from app.query.formats.arrow_batches import ArrowEncoder
from app.query.formats.csv_lines import CsvEncoder
from app.query.formats.served import ServedRows
from app.schema.columns import Column
from app.stores.source import Row

StreamFormat = Literal["ndjson", "csv", "arrow"]
_json = msgspec.json.Encoder()


class RowEncoder(Protocol):
    """Writes rows in one format: `begin`, then `rows` any number of times, then `end`.

    The pieces, joined in this order, are the whole body; each is complete in itself (whole lines, whole messages).
    An encoder keeps no state between calls, so one may serve many responses and threads at once.
    """

    def begin(self) -> bytes:
        """Return the bytes before the rows."""
        ...

    def rows(self, rows: list[Row]) -> bytes:
        """Return `rows` as bytes, without modifying them."""
        ...

    def end(self) -> bytes:
        """Return the bytes after the rows."""
        ...


def row_encoder(chosen: StreamFormat, columns: tuple[Column, ...], *, guard: bool = False) -> RowEncoder:
    """Return the encoder of `columns`; `guard` keeps a spreadsheet from running CSV cells as formulas."""
    match chosen:
        case "ndjson":
            return NdjsonEncoder(columns)
        case "csv":
            return CsvEncoder(columns, guard=guard)
        case "arrow":
            return ArrowEncoder(columns)
    assert_never(chosen)


class NdjsonEncoder:
    """Writes one JSON object per line (https://github.com/ndjson/ndjson-spec)."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._served = ServedRows(columns)

    def begin(self) -> bytes:
        """Return nothing: the first line is a row."""
        return b""

    def rows(self, rows: list[Row]) -> bytes:
        """Return a line for each row."""
        served = self._served.of(rows)
        lines = _json.encode_lines(served)
        if lines.count(b"\n") == len(served):
            return lines
        # A JSON column keeps the white space it was stored with; there are no other line feeds outside JSON strings.
        return b"".join(_json.encode(row).replace(b"\n", b" ") + b"\n" for row in served)

    def end(self) -> bytes:
        """Return nothing: the last line was a row."""
        return b""
