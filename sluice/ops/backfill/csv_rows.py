"""Read CSV rows as JSON records: the header names the members, and the declared columns say what a cell is.

An empty cell is no member at all, so the declared default counts. A text that does not fit its column stays a text, and
validation rejects it by the name of its field.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from app.schema.columns import Column, Kind, Mode
from sluice.ops.backfill.formats import Fault, Item, Reading, json_or_text

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}
# BigQuery exports a TIMESTAMP as `2026-01-31 12:00:00.5 UTC`.
_EXPORTED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9:.]+) UTC")


def read_csv(file: IO[bytes], reading: Reading) -> Iterator[Item]:
    """Yield each row of a comma-separated file in UTF-8 whose first row is the header.

    Raises:
        ValueError: there is no header, or it names a member twice.
        csv.Error: the file is no CSV.
    """
    columns = {column.name: column for column in reading.table.record}
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    limit = csv.field_size_limit(reading.max_record_bytes)
    try:
        rows = csv.reader(text, strict=True)
        header = next(rows, [])
        if not any(header) or len({*header}) != len(header):
            raise ValueError("the first row must name the members, each once")
        for row, cells in enumerate(filter(None, rows)):
            yield _item(row, cells, header, columns)
    finally:
        csv.field_size_limit(limit)
        text.detach()  # the file is its opener's


def _item(row: int, cells: list[str], header: list[str], columns: dict[str, Column]) -> Item:
    fault = f"the row has {len(cells)} cells, and the header {len(header)}" if len(cells) > len(header) else ""
    members = {name: _value(cell, columns.get(name)) for name, cell in zip(header, cells, strict=False) if cell}
    try:
        data = msgspec.json.encode(members)
    except UnicodeEncodeError:
        fault = "the row is not UTF-8"
    if fault:
        return Item(row, ",".join(cells).encode("utf-8", "surrogateescape"), fault=Fault("malformed", fault))
    return Item(row, data)


def _value(cell: str, column: Column | None) -> Any:
    """Return the value of a cell that is not empty; `column` is the one of its name, if it is declared."""
    if column is None:
        return cell
    match Kind.JSON if column.mode is Mode.REPEATED else column.kind:
        case Kind.JSON | Kind.STRUCT:
            return json_or_text(cell)
        case Kind.BOOL:
            return _TRUTHS.get(cell.lower(), cell)
        case Kind.INT64 | Kind.FLOAT64:
            return msgspec.Raw(cell) if _NUMBER.fullmatch(cell) else cell
        case Kind.TIMESTAMP if exported := _EXPORTED.fullmatch(cell):
            return "{}T{}Z".format(*exported.groups())
        case _:
            return cell
