"""What the answers of the query endpoints share: headers, what they cost, problems, the schema of a row."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.http.contract import INSTANT, TEXT, Answer, Named
from app.http.reading import VARY
from app.runtime.clock import Clock
from app.runtime.instants import TimeRange, to_text
from app.schema.columns import Column, Kind, Mode
from app.schema.table import REJECTS, Table
from app.stores.erasures import ERASURES

FRESH = {"Cache-Control": "private, no-store", "Vary": VARY}
"""The headers of a response that no cache may keep."""
Instant = Annotated[str, Meta(extra_json_schema=INSTANT)]
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
    "Link": 'The next page, as a relative URL: `<…>; rel="next"`. Missing at the end of the window.',
    "Sluice-Next-Cursor": "As `next_cursor`. Missing at the end of the window.",
    "Sluice-Resume-Cursor": "As `resume_cursor`.",
    "ETag": "Send it as `If-None-Match`; the response is 304 while the content is unchanged.",
    "Cache-Control": "How long the caller may cache the response; shared caches may not.",
    "Vary": "The request headers on which the response depends.",
    "Sluice-Count": "As `count`: a number, then `;relation=eq`, or `;relation=gte` if the number is a lower bound.",
    "Sluice-Cache": (
        "`hit`, `miss`, `joined` (shares the response to an equal request), `bypass`, or `revalidated` (a 304)."
    ),
    "Sluice-Bytes-Processed": "The bytes that the query read, if the store reports them.",
    "Sluice-Lag": "How many seconds a mirror is behind its source; of no other service.",
    "Server-Timing": "The use of the cache, and the time that the response took.",
}
READ_PROBLEMS = {
    400: "A parameter or the cursor is not valid; `errors` names each parameter.",
    422: "The query would read too much: query a shorter window.",
    429: "Too many reads are in progress, or the caller has made too many.",
    503: "The store is busy or unavailable; `Retry-After` says when to try again.",
    504: "The query timed out.",
}
NOT_MODIFIED = Answer("The content still matches the caller's `If-None-Match`. No body.")


class Cost:
    """What one request costs: the time since this was created, and the bytes that its queries read."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._begun_us = clock, clock.elapsed_us()
        self._bytes_processed: int | None = None

    def add_bytes(self, count: int | None) -> None:
        """Add the bytes that a query read; None if the store does not report them."""
        if count is not None:
            self._bytes_processed = (self._bytes_processed or 0) + count

    def headers(self, cache: str) -> dict[str, str]:
        """Return the headers that report the cost, and how the cache was used.

        Browsers show `Server-Timing` with the request, in milliseconds (https://www.w3.org/TR/server-timing/).
        """
        total_ms = (self._clock.elapsed_us() - self._begun_us) / 1000
        headers = {"Sluice-Cache": cache, "Server-Timing": f"cache;desc={cache}, total;dur={total_ms:.1f}"}
        if self._bytes_processed is not None:
            headers["Sluice-Bytes-Processed"] = str(self._bytes_processed)
        return headers


class Window(msgspec.Struct, frozen=True):
    """From `since` to before `until`."""

    since: Instant
    until: Instant


def served_window(window: TimeRange) -> Window:
    """Return a window as responses show it."""
    return Window(to_text(window.from_us), to_text(window.to_us))


def headers_of(*names: str) -> dict[str, str]:
    """Return the descriptions of these headers."""
    return {name: HEADERS[name] for name in names}


def row_schema(table: Table) -> Named:
    """Return the JSON Schema of a row of `table` as it is served.

    Every column is present, null if it has no value. None is required, because `fields` may select fewer. Columns with
    fields of their own are components, too, named by their paths.
    """
    return _row({REJECTS: "RejectedRecord", ERASURES: "ErasedRecord"}.get(table.name, "StoredRecord"), table.columns)


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
