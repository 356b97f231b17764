"""Write the body of an export: convert rows from the store's Arrow to the requested format, and send them.

If the caller requests Arrow and the store's batches have the schema of a page, they are passed through unchanged.
Everything else is decoded and re-encoded in a thread, one export at a time: the work holds Python's global lock, and
the event loop has other requests to answer.

A truncated body must not look complete. The body is sent without a length (HTTP/1.1: chunked). If it fails, the last,
empty piece is not sent: the server then closes the connection instead of ending the body, and clients raise an error
(curl: 18, httpx: RemoteProtocolError).
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from itertools import islice
from typing import Any

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.types import Send

from app.http.cut_responses import cut_short
from app.query.arrow_rows import ArrowRows
from app.query.formats.encoders import RowEncoder, StreamFormat, row_encoder
from app.query.reads import END_OF_BODY, Reads
from app.schema.columns import Column, Kind, Mode
from app.stores.source import END_OF_STREAM, QueryError, Row
from app.telemetry.redaction import first_line

_LISTS_AT_ONCE = 2  # of a thousand rows each: about 20 ms of work
_json = msgspec.json.Encoder()


class ExportBody:
    """Writes one export.

    `turn` is held while rows are written. `closing_cursor` is None, or the resume cursor for the closing line, which
    says that nothing is missing (Arrow has its own end marker). `may_pass` is False if the caller may not see all rows:
    a store's own batches may hold bytes of other rows under a NULL.
    """

    def __init__(  # noqa: PLR0913 - the parts of an export
        self,
        chosen: StreamFormat,
        columns: tuple[Column, ...],
        turn: asyncio.Lock,
        *,
        guard: bool = False,
        closing_cursor: str | None = None,
        may_pass: bool = True,
    ) -> None:
        self._chosen: StreamFormat = chosen
        self._may_pass = may_pass
        self._columns, self._turn, self._guard = columns, turn, guard
        self._closing_cursor = closing_cursor
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
            with closing(reader.read(piece)) as lists:
                while part := await self._written(encoder, lists):
                    yield part

    def _begin(self, schema: bytes | None) -> tuple[RowEncoder, bool]:
        encoder = row_encoder(self._chosen, self._columns, guard=self._guard)
        passes = (
            self._may_pass
            and self._chosen == "arrow"
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
        if self._closing_cursor is None or self._chosen == "arrow":
            return b""
        if self._chosen == "ndjson":
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
        written.append(encoder.rows(rows))
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


class ExportStream:
    """Sends the first of `pieces`, then the rest, until the client disconnects or the service stops."""

    def __init__(self, reads: Reads, first: bytes, rest: AsyncGenerator[bytes, None]) -> None:
        self._reads, self._first, self._rest = reads, first, rest

    async def __call__(self, request: Request[Any, Any, Any], response: ASGIResponse, send: Send) -> None:
        """Send `response` with the pieces as its body."""
        try:
            await self._reads.stream(request, self._send_all(request, response, send))
        finally:
            await self._rest.aclose()

    async def _send_all(self, request: Request[Any, Any, Any], response: ASGIResponse, send: Send) -> None:
        try:
            await response.start_response(send)
            await _send(self._first, send)
            async for piece in self._rest:
                await _send(piece, send)
        except QueryError as error:
            cut_short(request.scope, str(error))
        except Exception as error:  # a defect; its text may hold SQL from the second line on
            cut_short(request.scope, f"{type(error).__name__}: {first_line(error)}", logging.ERROR)
        else:
            await send(END_OF_BODY)


async def _send(piece: bytes, send: Send) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})
