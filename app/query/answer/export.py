"""Exports: the rest of a window as one stream, `limit=all`.

    read     the rows, as Arrow (Feed.batches), one piece ahead of the one being sent
    write    in the requested format, and send as fast as the client reads (ExportBody)

Memory stays flat for any window: one piece being read, one being written, and one being sent.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from itertools import islice
from typing import Any

import msgspec
from litestar import Request
from litestar.enums import HttpMethod

from app.auth.read_slots import ReadSlots
from app.environment import Environment
from app.http.reading import VARY
from app.query.answer.arrow import ArrowRows
from app.query.answer.encoders import RowEncoder, StreamFormat, row_encoder
from app.query.read.feed import Budget, Feed
from app.query.read.reads import Reads, SendPiece, Stream, StreamedResponse
from app.query.readers import Note
from app.query.request.parameters import MEDIA_TYPES
from app.query.request.scan import Scan
from app.runtime.instants import from_epoch_us
from app.schema.columns import Column, Kind, Mode
from app.stores.source import END_OF_STREAM, Row

_LISTS_AT_ONCE = 2  # of a thousand rows each: about 20 ms of work

_json = msgspec.json.Encoder()


class ExportBody:
    """Writes one export.

    `turn` is held while rows are written. A closing line says that nothing is missing, if the scan asks for one (Arrow
    has its own end marker). `may_pass` is False if the caller may not see all rows:
    a store's own batches may hold bytes of other rows under a NULL.
    """

    def __init__(self, scan: Scan, turn: asyncio.Lock, *, may_pass: bool) -> None:
        self._format, self._columns, self._guard = format_of(scan), scan.columns, scan.csv_guard
        self._closing_cursor = scan.resume_cursor(None) if scan.end else None
        self._turn, self._may_pass = turn, may_pass
        self.rows = 0
        """The number of rows written; rows passed through are not counted."""

    async def pieces(self, batches: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the body; `batches` is a stream's schema and its batches, or empty if there are no rows."""
        schema = await anext(batches, None)
        encoder, passes = await asyncio.to_thread(self._begin, schema)
        begun = encoder.begin()  # sent with the first rows: until then, an error can still be a problem response
        if schema is not None:
            async with aclosing(batches if passes else self._rows_of(schema, batches, encoder)) as parts:
                async for part in parts:
                    yield begun + part
                    begun = b""
        yield begun + encoder.end() + self._closing(encoder)

    async def _rows_of(
        self, schema: bytes, batches: AsyncGenerator[bytes, None], encoder: RowEncoder
    ) -> AsyncGenerator[bytes, None]:
        reader = ArrowRows(self._columns)
        async for batch in batches:
            piece, schema = schema + batch, b""  # the reader gets the schema from the first piece
            with closing(reader.row_lists(piece)) as lists:
                while part := await self._written(encoder, lists):
                    yield part

    def _begin(self, schema: bytes | None) -> tuple[RowEncoder, bool]:
        encoder = row_encoder(self._format, self._columns, guard=self._guard)
        passes = (
            self._may_pass
            and self._format == "arrow"
            and schema is not None
            and _is_same(schema, encoder.begin(), self._columns)
        )
        return encoder, passes

    async def _written(self, encoder: RowEncoder, lists: Generator[list[Row], None, None]) -> bytes:
        async with self._turn:
            written, rows = await asyncio.to_thread(_written, encoder, lists)
        self.rows += rows
        return written

    def _closing(self, encoder: RowEncoder) -> bytes:
        if self._closing_cursor is None or self._format == "arrow":
            return b""
        if self._format == "ndjson":
            line = {"end": True, "records": self.rows, "resume_cursor": self._closing_cursor}
            return _json.encode(line) + b"\n"
        # As many cells as the header, because CSV readers expect that of every line; names have no commas.
        width = encoder.begin().count(b",") + 1
        cells = ["#end", str(self.rows), self._closing_cursor][:width]
        return ",".join(cells + [""] * (width - len(cells))).encode() + b"\r\n"


def _written(encoder: RowEncoder, lists: Generator[list[Row], None, None]) -> tuple[bytes, int]:
    """Return the next rows as bytes, and their number; empty at the end."""
    written, count = [], 0
    for rows in islice(lists, _LISTS_AT_ONCE):
        written.append(encoder.encode(rows))
        count += len(rows)
    return b"".join(written), count


def _is_same(schema: bytes, expected: bytes, columns: tuple[Column, ...]) -> bool:
    """Return whether batches with `schema` are valid in a stream with the schema `expected`.

    This holds for flat columns only: below a NULL STRUCT, and for a NULL list, a store may emit values that the
    declared schema does not allow.
    """
    if any(column.kind is Kind.STRUCT or column.mode is Mode.REPEATED for column in columns):
        return False
    return _types(schema) == _types(expected)


def _types(schema: bytes) -> list[tuple[str, str]]:
    import nanoarrow  # type: ignore[import-untyped]  # noqa: PLC0415 - only exports need it
    from nanoarrow.ipc import InputStream  # type: ignore[import-untyped]  # noqa: PLC0415 - likewise

    with (
        InputStream.from_readable(schema + END_OF_STREAM) as source,
        nanoarrow.c_array_stream(source) as stream,
    ):
        return [(child.name, child.format) for child in stream.get_schema().children]


_READS = 8  # as many reads as an export holds memory for: unread, some 50 MB of records of 40 KB (`make attack`)
_EXTENSIONS: dict[StreamFormat, str] = {"ndjson": "ndjson", "csv": "csv", "arrow": "arrows"}


class Exports:
    """Answers requests with `limit=all`."""

    def __init__(self, environment: Environment, reads: Reads) -> None:
        self._reads = reads
        self._slots = ReadSlots(
            max(environment.settings.query.max_reads // _READS, 1), environment.clock, noun="exports"
        )
        self._turn = asyncio.Lock()

    async def response(self, request: Request[Any, Any, Any], scan: Scan, feed: Feed, note: Note) -> StreamedResponse:
        """Return the export of `feed`. Its first piece is made already, so an immediate failure is an ordinary problem.

        `note` gets the position behind an export in ascending order, once all of it is sent.

        Raises:
            ProblemError: the service is stopping, or too many exports are in progress.
            QueryError: the store gave no answer.
        """
        media_type = MEDIA_TYPES[format_of(scan)]
        headers = {
            "Sluice-Resume-Cursor": scan.resume_cursor(None),
            "Cache-Control": "private, no-store",
            "Vary": VARY,
            "Content-Disposition": f'attachment; filename="{_file_name(scan)}"',
        }
        if request.method == HttpMethod.HEAD:
            return StreamedResponse(headers, media_type, None)
        self._reads.check_open()
        if (count := await feed.count(scan, Budget(feed.environment))) is not None:
            headers["Sluice-Count"] = count.header
        body = ExportBody(scan, self._turn, may_pass=not request.state.principal.filters)
        pieces = self._pieces(request.state.principal.name, feed.batches(scan), body)
        first = await anext(pieces)

        async def send_pieces(send: SendPiece) -> None:
            await send(first)
            async for piece in pieces:
                await send(piece)
            if scan.is_followed:
                note(headers["Sluice-Resume-Cursor"])

        stream = Stream(reads=self._reads, send_pieces=send_pieces, close=pieces.aclose)
        return StreamedResponse(headers, media_type, stream)

    async def _pieces(
        self, caller: str, rows: AsyncGenerator[bytes, None], body: ExportBody
    ) -> AsyncGenerator[bytes, None]:
        """Yield the body. The export's slot is held until this ends or is closed."""
        async with self._slots.held(caller):
            batches = _one_ahead(rows)
            async with aclosing(batches), aclosing(body.pieces(batches)) as pieces:
                async for piece in pieces:
                    yield piece


async def _one_ahead(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the items of `pieces`; make the next one while the last one is in use."""

    async def following() -> bytes | None:
        return await anext(pieces, None)

    waiting = asyncio.create_task(following())
    try:
        while (piece := await waiting) is not None:
            waiting = asyncio.create_task(following())
            yield piece
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await pieces.aclose()


def format_of(scan: Scan) -> StreamFormat:
    """Return the format of an export: one JSON document would be no stream."""
    return "ndjson" if scan.format == "json" else scan.format


def _file_name(scan: Scan) -> str:
    """Return the name for the downloaded file: what is read and its window, in ISO 8601's basic format."""
    window = scan.window
    since, until = (
        from_epoch_us(us).isoformat().replace("+00:00", "Z").replace("-", "").replace(":", "")
        for us in (window.from_us, window.to_us)
    )
    return f"{scan.read.replace('/', '-')}-{since}-{until}.{_EXTENSIONS[format_of(scan)]}"
