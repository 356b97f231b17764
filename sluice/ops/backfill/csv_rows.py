"""Read CSV rows as JSON records: the header names the members, and the declared columns say what a cell is.

An empty cell is no member at all, so the declared default counts. A text that does not fit its column stays a text, and
validation rejects it by the name of its field.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import IO

import msgspec

from app.schema.columns import Column, Kind, Mode
from sluice.ops.backfill.formats import Fault, Item, Reading

_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_TRUTHS = {b"true": b"true", b"false": b"false", b"1": b"true", b"0": b"false"}
# BigQuery exports a TIMESTAMP as `2026-01-31 12:00:00.5 UTC`.
_EXPORTED = re.compile(rb"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9:.]+) UTC")
_text = msgspec.json.Encoder()
_any = msgspec.json.Decoder(msgspec.Raw)


def read_csv(file: IO[bytes], reading: Reading) -> Iterator[Item]:
    """Yield each row of a comma-separated file in UTF-8 whose first row is the header.

    Raises:
        ValueError: there is no header, or it names a member twice.
    """
    columns = {column.name: column for column in reading.table.record}
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    limit = csv.field_size_limit(reading.max_record_bytes)
    try:
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        if not any(header) or len({*header}) != len(header):
            raise ValueError("the first row must name the members, each once")
        members = [(_text.encode(name) + b":", columns.get(name)) for name in header]
        row = 0
        for cells in rows:
            if not cells:
                continue
            yield _item(row, cells, members)
            row += 1
    except csv.Error as error:
        raise ValueError(str(error)) from error
    finally:
        csv.field_size_limit(limit)
        text.detach()  # the file is its opener's


def _item(row: int, cells: list[str], members: list[tuple[bytes, Column | None]]) -> Item:
    raw = [cell.encode("utf-8", "surrogateescape") for cell in cells]
    if len(cells) > len(members):
        detail = f"the row has {len(cells)} cells, and the header {len(members)}"
        return Item(row, b",".join(raw), fault=Fault("malformed", detail))
    if any(not _is_text(cell) for cell in cells):
        return Item(row, b",".join(raw), fault=Fault("malformed", "the row is not UTF-8"))
    pairs = [name + cell_json(cell, column) for cell, (name, column) in zip(raw, members, strict=False) if cell]
    return Item(row, b"{" + b",".join(pairs) + b"}")


def _is_text(cell: str) -> bool:
    return cell.isascii() or not any("\ud800" <= character <= "\udfff" for character in cell)


def cell_json(cell: bytes, column: Column | None) -> bytes:  # noqa: PLR0911 - one for each kind
    """Return the JSON of a cell that is not empty; `column` is the one of its name, if it is declared."""
    if column is not None and column.mode is Mode.REPEATED:
        return _json_or_text(cell)
    match column.kind if column is not None else None:
        case Kind.BOOL:
            return _TRUTHS.get(cell.lower()) or _quoted(cell)
        case Kind.INT64:
            return cell if _INTEGER.fullmatch(cell) else _quoted(cell)
        case Kind.FLOAT64:
            return cell if _NUMBER.fullmatch(cell) else _quoted(cell)
        case Kind.TIMESTAMP:
            exported = _EXPORTED.fullmatch(cell)
            return _quoted(b"%bT%bZ" % exported.groups() if exported else cell)
        case Kind.JSON | Kind.STRUCT:
            return _json_or_text(cell)
        case _:
            return _quoted(cell)


def _json_or_text(cell: bytes) -> bytes:
    try:
        _any.decode(cell)
    except msgspec.DecodeError:
        return _quoted(cell)
    return cell


def _quoted(cell: bytes) -> bytes:
    return _text.encode(cell.decode())
