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
    """Writes rows in one format: `begin`, then `rows` as often as there are some, then `end`.

    The pieces, put together in this order, are the whole; each is complete in itself (whole lines, whole messages).
    An encoder keeps nothing between calls, so one may serve many answers and threads at once.
    """

    def begin(self) -> bytes:
        """Return what stands before the rows."""
        ...

    def rows(self, rows: list[Row]) -> bytes:
        """Return `rows` as bytes; they are left as they are."""
        ...

    def end(self) -> bytes:
        """Return what stands after the rows."""
        ...


def row_encoder(chosen: StreamFormat, columns: tuple[Column, ...], *, guard: bool = False) -> RowEncoder:
    """Return what writes `columns` of rows; `guard` keeps CSV cells from being run as formulas by a spreadsheet."""
    match chosen:
        case "ndjson":
            return NdjsonEncoder(columns)
        case "csv":
            return CsvEncoder(columns, guard=guard)
        case "arrow":
            return ArrowEncoder(columns)
    assert_never(chosen)


class NdjsonEncoder:
    """Writes one JSON object a line (https://github.com/ndjson/ndjson-spec)."""

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
        # A JSON column keeps the white space it was stored with; outside of strings JSON has no other line feeds.
        return b"".join(_json.encode(row).replace(b"\n", b" ") + b"\n" for row in served)

    def end(self) -> bytes:
        """Return nothing: the last line was a row."""
        return b""
