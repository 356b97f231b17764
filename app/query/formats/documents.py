"""Turn rows into bytes: JSON documents or NDJSON.

Instants are RFC 3339 in UTC, exact decimals are strings in plain notation, bytes are base64, and JSON columns
stand as the JSON they hold.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from app.query.feed import Page, Row
from app.query.instants import to_datetime
from app.query.params.page import Format
from app.schema.columns import Column, Kind, Mode
from app.schema.decimals import plain_decimal

MEDIA_TYPES: dict[Format, str] = {"json": "application/json", "ndjson": "application/x-ndjson"}
# What callers write in Accept, from the most preferred where they leave it open.
_ACCEPTED: dict[str, Format] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/*": "json",
    "*/*": "json",
}
_encoder = msgspec.json.Encoder()
_Convert = Callable[[Any], Any]


def choose_format(asked: Format | None, accept: str) -> Format:
    """Return the format of the answer: the parameter's, or else the one `Accept` prefers, or else JSON."""
    if asked is not None:
        return asked
    best: tuple[float, int] = (0.0, 0)
    chosen: Format = "json"
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        # Of two that are equally welcome, the one named in full.
        rank = (_quality(parameters), 0 if media_type.endswith("*") else 1)
        if media_type in _ACCEPTED and rank[0] > 0 and rank > best:
            best, chosen = rank, _ACCEPTED[media_type]
    return chosen


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


class RowFormat:
    """Writes the rows of one table."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._conversions = _conversions(columns)

    def page(self, page: Page, chosen: Format) -> bytes:
        """Return the body of a page."""
        self._prepare(page.rows)
        if chosen == "ndjson":
            return _encoder.encode_lines(page.rows)
        return _encoder.encode(
            {
                "records": page.rows,
                "next_cursor": page.next_cursor,
                "resume_cursor": page.resume_cursor,
                "window": {
                    "since": to_datetime(page.window.since_us),
                    "until": to_datetime(page.window.until_us),
                },
                "poll_after": page.poll_after_s,
            }
        )

    def record(self, row: Row) -> bytes:
        """Return the body of one record."""
        self._prepare([row])
        return _encoder.encode(row)

    def versions(self, rows: list[Row], *, complete: bool) -> bytes:
        """Return the body of a record's versions."""
        self._prepare(rows)
        return _encoder.encode({"records": rows, "complete": complete})

    def _prepare(self, rows: list[Row]) -> None:
        for name, convert in self._conversions:
            for row in rows:
                if row[name] is not None:
                    row[name] = convert(row[name])


def _conversions(columns: tuple[Column, ...]) -> list[tuple[str, _Convert]]:
    """Return the columns whose values are not served as the store gives them, and what turns each into what is served.

    Exact decimals become text, at any depth; of a STRUCT only the declared fields are served, although others may have
    added some to the table.
    """
    found: list[tuple[str, _Convert]] = []
    for column in columns:
        convert = _converter(column)
        if convert is not None:
            found.append((column.name, convert))
    return found


def _converter(column: Column) -> _Convert | None:
    item: _Convert | None = plain_decimal if column.kind is Kind.NUMERIC else None
    if column.kind is Kind.STRUCT:
        item = _struct_converter(column.fields)
    if item is not None and column.mode is Mode.REPEATED:
        return _list_converter(item)
    return item


def _struct_converter(fields: tuple[Column, ...]) -> _Convert:
    # A field that the table has not got yet reads as BigQuery will read it once it was added.
    absent = {field.name: () if field.mode is Mode.REPEATED else None for field in fields}
    inner = _conversions(fields)

    def convert(value: Row) -> Row:
        served = {name: value.get(name, nothing) for name, nothing in absent.items()}
        for name, convert_field in inner:
            if served[name] is not None:
                served[name] = convert_field(served[name])
        return served

    return convert


def _list_converter(item: _Convert) -> _Convert:
    def convert(values: list[Any]) -> list[Any]:
        return [item(value) for value in values]

    return convert
