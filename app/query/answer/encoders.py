"""Rows as bytes: whole pages and records, piece by piece, or as events; one encoder writes a page and a stream."""

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Protocol, assert_never

import msgspec

from app.http.problems import ProblemError
from app.query.answer.arrow import ArrowEncoder
from app.query.request.cursor import resume_cursor
from app.query.request.scan import Page, position_of
from app.runtime.instants import from_epoch_us
from app.schema.columns import Column, Kind, Mode
from app.schema.values import plain_decimal
from app.stores.source import Row

Convert = Callable[[Any], Any]
StreamFormat = Literal["ndjson", "csv", "arrow"]
_json = msgspec.json.Encoder()
_MUST_QUOTE = '",\r\n'
# The characters that make a spreadsheet treat a cell as a formula: https://owasp.org/www-community/attacks/CSV_Injection,
# and NUL by OWASP's ASVS 5.0, requirement 1.2.10.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\0")
_ToCells = Callable[[list[Any]], list[str]]


class ServedRows:
    """Converts a store's rows to their served form: the requested columns, with values as JSON represents them.

    Instants are RFC 3339 in UTC, exact decimals are strings in plain notation, bytes are base64, and JSON columns
    appear as the JSON they hold. The store returns an instant beyond Python's years as text, and it is served as that
    text. The store's rows are not modified.
    """

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._names = [column.name for column in columns]
        self._conversions = _conversions(columns)

    def of(self, rows: list[Row]) -> list[Row]:
        """Return the served form of `rows`, ready for a JSON encoder."""
        names = self._names
        # The usual page: nothing to convert and all columns requested. Copying takes three times as long as encoding.
        if not self._conversions and all(map(names.__eq__, map(list, rows))):
            return rows
        objects = [{name: row[name] for name in names} for row in rows]
        for name, convert in self._conversions:
            for row in objects:
                if row[name] is not None:
                    row[name] = convert(row[name])
        return objects


def converter(column: Column) -> Convert | None:
    """Return the function that converts a column's value (not None) for JSON; None: no conversion is needed.

    Exact decimals become text, at any depth. Only the declared fields of a STRUCT are served, although others may
    have added fields to the table.
    """
    item: Convert | None = plain_decimal if column.kind is Kind.NUMERIC else None
    if column.kind is Kind.STRUCT:
        item = _struct_converter(column.fields)
    if item is None or column.mode is not Mode.REPEATED:
        return item
    return lambda values: [item(value) for value in values]


def _conversions(columns: tuple[Column, ...]) -> list[tuple[str, Convert]]:
    return [(column.name, convert) for column in columns if (convert := converter(column)) is not None]


def _struct_converter(fields: tuple[Column, ...]) -> Convert:
    names, inner = [field.name for field in fields], _conversions(fields)

    def convert(value: Row) -> Row:
        served = {name: value.get(name) for name in names}  # a table that does not fit may lack a field
        for name, convert_field in inner:
            if served[name] is not None:
                served[name] = convert_field(served[name])
        return served

    return convert


def page_body(page: Page, poll_after_s: int) -> bytes:
    """Return a page in its format. A JSON document also says when to read on, and how many records there are."""
    scan = page.scan
    if scan.format != "json":
        encoder = row_encoder(scan.format, scan.columns, guard=scan.csv_guard)
        return b"".join((encoder.begin(), encoder.encode(page.rows), encoder.end()))
    document = {
        "records": ServedRows(scan.columns).of(page.rows),
        "next_cursor": page.next_cursor,
        "resume_cursor": page.resume_cursor,
        "window": {"since": from_epoch_us(scan.window.from_us), "until": from_epoch_us(scan.window.to_us)},
        "poll_after": poll_after_s,
    }
    return _json.encode(document if page.count is None else document | {"count": page.count})


class RowEncoder(Protocol):
    """Writes rows in one format: `begin`, then `encode` any number of times, then `end`.

    The pieces, joined in this order, are the whole body; each is complete in itself (whole lines, whole messages).
    An encoder keeps no state between calls, so one may serve many responses and threads at once.
    """

    def begin(self) -> bytes:
        """Return the bytes before the rows; by default none."""
        return b""

    def encode(self, rows: list[Row]) -> bytes:
        """Return `rows` as bytes, without modifying them."""
        ...

    def end(self) -> bytes:
        """Return the bytes after the rows; by default none."""
        return b""


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


class NdjsonEncoder(RowEncoder):
    """Writes one JSON object per line (https://github.com/ndjson/ndjson-spec)."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._served = ServedRows(columns)

    def encode(self, rows: list[Row]) -> bytes:
        """Return a line for each row."""
        served = self._served.of(rows)
        lines = _json.encode_lines(served)
        if lines.count(b"\n") == len(served):
            return lines
        # A JSON column keeps the white space it was stored with; there are no other line feeds outside JSON strings.
        return b"".join(_json.encode(row).replace(b"\n", b" ") + b"\n" for row in served)


class CsvEncoder(RowEncoder):
    """Writes CSV (https://www.rfc-editor.org/rfc/rfc4180): a header, then one line per row, each ended by CR LF.

    A cell is quoted only where it must be, so that NULL, an empty cell, differs from an empty text, which is `""`. The
    fields of a STRUCT are columns with dotted names; JSON columns and lists hold JSON text; everything else is written
    as in JSON, without the quotes. Rows are written column by column: most checks then cost one search per column, not
    one per cell.

    With `guard`, text that a spreadsheet could treat as a formula begins with an apostrophe. The guard changes the
    data that is read back, so it is the caller's choice. Numbers and instants are left alone.
    """

    def __init__(self, columns: tuple[Column, ...], *, guard: bool = False) -> None:
        leaves = _leaves(columns, ())
        self._header = ",".join(".".join(path) for path, _ in leaves).encode() + b"\r\n"
        self._leaves = [(path, _to_cells(column, guard=guard)) for path, column in leaves]
        # With a single column, an empty cell is an empty line, which most readers skip.
        self._alone = len(leaves) == 1

    def begin(self) -> bytes:
        """Return the header."""
        return self._header

    def encode(self, rows: list[Row]) -> bytes:
        """Return a line for each row."""
        if not rows:
            return b""
        cells = [to_cells(_values(rows, path)) for path, to_cells in self._leaves]
        if self._alone:
            cells[0] = [cell or '""' for cell in cells[0]]
        return ("\r\n".join(map(",".join, zip(*cells, strict=True))) + "\r\n").encode()


def _leaves(columns: tuple[Column, ...], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Column]]:
    """Return the columns of the file, each with its path; a list of STRUCTs is one column."""
    leaves: list[tuple[tuple[str, ...], Column]] = []
    for column in columns:
        if column.kind is Kind.STRUCT and column.mode is not Mode.REPEATED:
            leaves += _leaves(column.fields, (*path, column.name))
        else:
            leaves.append(((*path, column.name), column))
    return leaves


def _values(rows: list[Row], path: tuple[str, ...]) -> list[Any]:
    """Return the values at `path`: None in a NULL STRUCT."""
    first, *more = path
    values = [row[first] for row in rows]
    for name in more:
        values = [None if value is None else value.get(name) for value in values]
    return values


_TEXTS: dict[Kind, Callable[[Any], str]] = {
    Kind.STRING: str,
    Kind.BYTES: lambda value: b64encode(value).decode(),
    Kind.JSON: lambda value: bytes(value).decode(),
    Kind.NUMERIC: plain_decimal,
}
_GUARDED = {Kind.STRING, Kind.BYTES}  # base64 has a plus; JSON begins with a bracket, a quote, a letter or a number


def _to_cells(column: Column, *, guard: bool) -> _ToCells:
    if column.mode is Mode.REPEATED:
        convert = converter(column) or list
        return partial(_quoted, lambda value: _json.encode(convert(value)).decode())
    text = _TEXTS.get(column.kind)
    if text is None:
        return _plain
    return partial(_quoted, partial(_guarded, text) if guard and column.kind in _GUARDED else text)


def _guarded(to_text: Callable[[Any], str], value: Any) -> str:
    text = to_text(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _plain(values: list[Any]) -> list[str]:
    """Return numbers, booleans, instants, dates and times as JSON writes them, all at once.

    None of them contains a comma or a quote. NaN and the infinities are null in JSON, and so empty here.
    """
    return _json.encode(values)[1:-1].decode().replace('"', "").replace("null", "").split(",")


def _quoted(to_text: Callable[[Any], str], values: list[Any]) -> list[str]:
    texts = [None if value is None else to_text(value) for value in values]
    whole = "".join(filter(None, texts))
    if not any(character in whole for character in _MUST_QUOTE):
        return ["" if text is None else text or '""' for text in texts]
    return ["" if text is None else _cell(text) for text in texts]


def _cell(text: str) -> str:
    if text and not any(character in text for character in _MUST_QUOTE):
        return text
    return '"' + text.replace('"', '""') + '"'


# Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). `id` is a resume cursor, which a
# client sends back as `Last-Event-ID` when it reconnects. An event without `data` only sets the id and is not
# dispatched: so the client knows its position even without records.
Reason = Literal["time", "stopping"]
RETRY_MS = 2_000
RECORD = "record"
# A JSON column keeps the white space it was stored with; there are no other line ends outside JSON strings.
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def events_of(page: Page) -> bytes:
    """Return the event of each row of a page."""
    scan = page.scan
    shown = ServedRows(scan.columns).of(page.rows)
    cursors = [resume_cursor(scan.table, position_of(row), scan.fingerprint) for row in page.rows]
    return b"".join(event(RECORD, cursor, row) for cursor, row in zip(cursors, shown, strict=True))


def event(name: str, cursor: str, data: Any) -> bytes:
    """Return an event whose `data` is sent as JSON; after it, a client continues from `cursor`."""
    return _event(name, cursor, _json.encode(data).translate(_ONE_LINE))


def opening(cursor: str) -> bytes:
    """Return the start of a stream: the reconnection time, and the position where the stream begins.

    Without the position, a client of `since=now` that lost its connection before the first record would start over
    from a later instant.
    """
    return f"retry: {RETRY_MS}\nid: {cursor}\n\n".encode()


def ping(cursor: str | None) -> bytes:
    """Return a comment, which keeps proxies from closing the connection, with the new position if it has moved."""
    return b": ping\n\n" if cursor is None else f": ping\nid: {cursor}\n\n".encode()


def ending(cursor: str, reason: Reason) -> bytes:
    """Return the last event of a stream that ends by itself."""
    return event("end", cursor, {"reason": reason})


def failure(cursor: str, problem: ProblemError) -> bytes:
    """Return the last event of a stream that cannot continue, with the reconnection time of the problem."""
    retry_s = int(problem.headers.get("Retry-After", "0"))
    retry = f"retry: {retry_s * 1000}\n".encode() if retry_s else b""
    return retry + _event("error", cursor, problem.body())


def _event(name: str, cursor: str, data: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), cursor.encode(), data)
