"""Exports: the rest of a window as one stream, `limit=all`.

    plan     time ranges that one query may read (CountedRanges); the whole window if the store materializes the result
             as a table (BigQuery)
    read     the rows of each range, as Arrow, one piece ahead of the one being sent
    write    in the requested format, and send as fast as the client reads (export_body)

Memory stays flat for any window: one piece being read, one being written, and one being sent.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, closing
from functools import partial
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
from app.query.read.slices import feed_slices
from app.query.request.parameters import MEDIA_TYPES
from app.query.request.scan import Scan
from app.runtime.instants import from_epoch_us
from app.runtime.time_range import TimeRange
from app.schema.columns import Column, Kind, Mode
from app.stores.query import PartCounts, Rows
from app.stores.source import END_OF_STREAM, QueryRunner, Row

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


_PARTS = 1_000  # into which a time range is cut for counting, approximately
_READS = 8  # as many reads as an export holds memory for: unread, some 50 MB of records of 40 KB (`make attack`)
_FIRST_ROWS = 100
_GROWTH = 4
_RANGE_BYTES = 2_000_000  # several times as much is in memory at once: read, written, sent
# Returns the number of rows in each non-empty part of a slice, by the part's number, in ascending order. The second
# argument is the length of a part.
CountParts = Callable[[TimeRange, int], Awaitable[list[tuple[int, int]]]]
_EXTENSIONS: dict[StreamFormat, str] = {"ndjson": "ndjson", "csv": "csv", "arrow": "arrows"}


class CountedRange(TimeRange, frozen=True):
    """A part of a window, and the number of rows counted in it."""

    rows: int


class CountedRanges:
    """Cuts a window into ranges with no more rows than one query may return, in reading order.

    The distribution of rows is unknown, so the rows of a slice are counted part by part, which costs next to nothing.
    Adjacent parts are merged while they fit; a part with too many rows is counted again, in finer parts. Rows with the
    same timestamp stay together: they were stored as one batch, which is not large.
    """

    def __init__(self, count: CountParts, remaining: TimeRange, *, descending: bool, first_us: int) -> None:
        self._count, self._descending = count, descending
        self._slices = feed_slices(remaining, descending=descending, first_us=first_us, longest_us=None)
        self._counted = deque[CountedRange]()

    async def next(self, max_rows: int) -> CountedRange | None:
        """Return the next non-empty range, with at most `max_rows` unless they share a timestamp; None at the end.

        Raises:
            QueryError: the rows could not be counted.
        """
        merged: CountedRange | None = None
        while (part := await self._part()) is not None:
            if part.rows > max_rows and merged is None and part.length_us > 1:
                await self._divide(part)
            elif merged is None:
                merged = part
            elif merged.rows + part.rows <= max_rows:
                ends = (part.from_us, merged.to_us) if self._descending else (merged.from_us, part.to_us)
                merged = CountedRange(*ends, merged.rows + part.rows)
            else:
                self._counted.appendleft(part)
                break
        return merged

    async def _part(self) -> CountedRange | None:
        while not self._counted and (waiting := next(self._slices, None)) is not None:
            await self._divide(waiting)
        return self._counted.popleft() if self._counted else None

    async def _divide(self, whole: TimeRange) -> None:
        width_us = max(-(-(whole.length_us) // _PARTS), 1)
        parts = []
        for number, rows in await self._count(whole, width_us):
            from_us = whole.from_us + number * width_us
            parts.append(CountedRange(from_us, min(from_us + width_us, whole.to_us), rows))
        self._counted.extendleft(parts if self._descending else reversed(parts))


class ChunkSizer:
    """Decides how many rows the next query should return: a few megabytes, and no more than allowed.

    It begins with few rows, so that the first byte arrives soon, and adapts to the size of the last ones.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self.rows = min(_FIRST_ROWS, max_rows)

    def note(self, rows: int, size_bytes: int) -> None:
        """Record the size of the result of a query of `rows` rows."""
        fitting = _RANGE_BYTES * max(rows, 1) // max(size_bytes, 1)
        self.rows = max(min(fitting, self.rows * _GROWTH, self._max_rows), 1)


class Exports:
    """Answers requests with `limit=all`."""

    def __init__(self, runner: QueryRunner, environment: Environment, reads: Reads) -> None:
        self._runner, self._reads, self._lookback_us = runner, reads, environment.lookback_us
        self._slots = ReadSlots(
            max(environment.settings.query.max_reads // _READS, 1), environment.clock, noun="exports"
        )
        self._turn = asyncio.Lock()

    async def response(self, request: Request[Any, Any, Any], scan: Scan, feed: Feed) -> StreamedResponse:
        """Return the export of `feed`. Its first piece is made already, so an immediate failure is an ordinary problem.

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
        pieces = self._pieces(request.state.principal.name, scan, body)
        first = await anext(pieces)

        async def send_pieces(send: SendPiece) -> None:
            await send(first)
            async for piece in pieces:
                await send(piece)

        stream = Stream(reads=self._reads, send_pieces=send_pieces, close=pieces.aclose)
        return StreamedResponse(headers, media_type, stream)

    def explained(self, scan: Scan) -> tuple[Rows, list[TimeRange]]:
        """Return the query of the whole export, and its range; the embedded store is queried range by range instead."""
        remaining = scan.remaining
        return self._query(scan, remaining), [remaining]

    async def _pieces(self, caller: str, scan: Scan, body: ExportBody) -> AsyncGenerator[bytes, None]:
        """Yield the body. The export's slot is held until this ends or is closed."""
        async with self._slots.held(caller):
            batches = _one_ahead(self._batches(scan))
            async with aclosing(batches), aclosing(body.pieces(batches)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _batches(self, scan: Scan) -> AsyncGenerator[bytes, None]:
        """Yield the schema and the batches of all rows; nothing, or the schema alone, if there are no rows."""
        remaining, max_rows = scan.remaining, self._runner.export_rows
        if max_rows is None:
            async with aclosing(self._runner.arrow(self._query(scan, remaining))) as whole:
                async for piece in whole:
                    if piece != END_OF_STREAM:
                        yield piece
            return

        sizer, is_begun = ChunkSizer(max_rows), False
        descending, first_us = scan.descending, self._runner.first_slice_us
        ranges = CountedRanges(partial(self._counted, scan), remaining, descending=descending, first_us=first_us)
        while (part := await ranges.next(sizer.rows)) is not None:
            query, size_bytes = self._query(scan, part), 0
            async with aclosing(self._runner.arrow(query)) as batches:
                schema = await anext(batches)
                if not is_begun:
                    yield schema
                    is_begun = True
                async for piece in batches:
                    if piece != END_OF_STREAM:
                        size_bytes += len(piece)
                        yield piece
            sizer.note(part.rows, size_bytes)

    async def _counted(self, scan: Scan, part: TimeRange, width_us: int) -> list[tuple[int, int]]:
        query = PartCounts(
            table=scan.table,
            within=part,
            conditions=scan.conditions,
            descending=scan.descending,
            after=scan.after,
            width_us=width_us,
        )
        return [(row["bucket"], row["records"]) for row in (await self._runner.rows(query)).rows]

    def _query(self, scan: Scan, window: TimeRange) -> Rows:
        return Rows(
            purpose="export",
            table=scan.table,
            within=window,
            conditions=scan.conditions,
            lookback_us=self._lookback_us,
            columns=tuple(column.name for column in scan.columns),
            descending=scan.descending,
            after=scan.after,
        )


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
    """Return the name for the downloaded file: the table and its window, in ISO 8601's basic format."""
    window = scan.window
    since, until = (
        from_epoch_us(us).isoformat().replace("+00:00", "Z").replace("-", "").replace(":", "")
        for us in (window.from_us, window.to_us)
    )
    return f"{scan.table}-{since}-{until}.{_EXTENSIONS[format_of(scan)]}"
