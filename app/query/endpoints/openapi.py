"""What the contracts of the query endpoints share: headers, the schema of a row, answers that are no JSON."""

from collections.abc import Mapping
from typing import Any

from app.http.contract import INSTANT, TEXT, Answer, Named, object_schema
from app.schema.columns import Column, Kind, Mode
from app.schema.table import REJECTS, Table

_SCHEMAS: dict[Kind, Mapping[str, Any]] = {
    Kind.BOOL: {"type": "boolean"},
    Kind.INT64: {"type": "integer"},
    Kind.FLOAT64: {"type": "number"},
    Kind.NUMERIC: {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
    Kind.STRING: TEXT,
    Kind.BYTES: {"type": "string", "contentEncoding": "base64"},
    Kind.TIMESTAMP: INSTANT,
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.TIME: {"type": "string", "description": "A time of day without an offset."},
    Kind.JSON: {},
}

# The headers that a response may have; a route names those it sends.
HEADERS: dict[str, str] = {
    "Link": 'The next page as a URL relative to this one: `<…>; rel="next"`. Missing at the window\'s end.',
    "Sluice-Next-Cursor": "As `next_cursor`. Missing at the window's end.",
    "Sluice-Resume-Cursor": "As `resume_cursor`.",
    "ETag": "Sent back as `If-None-Match`, it is answered with 304 while nothing has changed.",
    "Cache-Control": "How long the caller, and nobody between, may keep the answer.",
    "Vary": "The request headers that the answer depends on.",
    "Sluice-Count": "As `count`: a number, then `;relation=eq`, or `;relation=gte` where it is at least so many.",
    "Sluice-Cache": "`hit`, `miss`, `joined` (to another caller's equal question), `bypass`, or `revalidated` (a 304).",
    "Sluice-Bytes-Processed": "What the query read, in bytes, where the store says it.",
    "Server-Timing": "Where the time went.",
}
NOT_MODIFIED = Answer("What the caller has, by its `If-None-Match`, is still so. No body.")
WINDOW = Named("Window", object_schema("From `since` to before `until`.", since=INSTANT, until=INSTANT))


def headers_of(*names: str) -> dict[str, str]:
    """Return the descriptions of these headers."""
    return {name: HEADERS[name] for name in names}


def row_schema(table: Table) -> Named:
    """Return the JSON Schema of a row of `table` as it is served.

    Every column is present, null if it has no value. None is required, because `fields` may select fewer. Columns with
    fields of their own are components, too, named by their paths.
    """
    return _row("RejectedRecord" if table.name == REJECTS else "StoredRecord", table.columns)


def _row(name: str, columns: tuple[Column, ...]) -> Named:
    properties = {column.name: _column(f"{name}.{column.name}", column) for column in columns}
    return Named(name, {"type": "object", "properties": properties})


def _column(name: str, column: Column) -> dict[str, Any]:
    item: Any = _row(name, column.fields) if column.kind is Kind.STRUCT else _SCHEMAS[column.kind]
    if column.mode is Mode.REPEATED:
        item = {"type": "array", "items": item}
    if isinstance(item, Named):
        item = {"anyOf": [item, {"type": "null"}]} if column.mode is Mode.NULLABLE else {"allOf": [item]}
    elif column.mode is Mode.NULLABLE and "type" in item:
        item = {**item, "type": [item["type"], "null"]}
    return {**item, "description": column.description} if column.description else dict(item)
