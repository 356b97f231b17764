"""Exports: the rest of a window as one stream, `limit=all`.

    plan     time ranges that one query may read (export_plan); the whole window if the store materializes the result
             as a table (BigQuery)
    read     the rows of each range, as Arrow, one piece ahead of the one being sent
    write    in the requested format (export_body)
    send     as fast as the client reads (streaming)

Memory stays flat for any window: one piece being read, one being written, and one being sent.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from litestar import Request
from litestar.enums import HttpMethod

from app.http.conditional import VARY
from app.query.concurrency_limit import ConcurrencyLimiter
from app.query.export_body import ExportBody
from app.query.export_plan import ChunkSizer, Stretches
from app.query.formats.arrow_batches import END_OF_STREAM
from app.query.formats.encoders import StreamFormat
from app.query.formats.negotiation import MEDIA_TYPES
from app.query.params.catalogue import COUNT_CAP
from app.query.params.page import Window
from app.query.reads import Reads
from app.query.retrieval import Retrieval
from app.query.slices import Slice
from app.query.streaming import StreamedResponse
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import from_epoch_us
from app.settings.query import QuerySettings
from app.stores.query import Count, Export, PartCounts
from app.stores.source import QueryRunner

_EXTENSIONS: dict[StreamFormat, str] = {"ndjson": "ndjson", "csv": "csv", "arrow": "arrows"}


class Exports:
    """Answers requests with `limit=all`, a limited number at once."""

    def __init__(self, runner: QueryRunner, settings: QuerySettings, clock: Clock, reads: Reads) -> None:
        self._runner, self._reads = runner, reads
        self._lookback_us = round(settings.dedupe_lookback_s * MICROSECONDS)
        self._places = ConcurrencyLimiter("exports", "max_exports", settings.max_exports)
        self._turn = asyncio.Lock()

    async def answer(self, request: Request[Any, Any, Any], wanted: Retrieval) -> StreamedResponse:
        """Return the export; its first piece is made already, so that an immediate failure is an ordinary problem.

        Raises:
            ProblemError: the limit of concurrent exports, in all or of this caller, is reached; or the service is
                stopping.
            QueryError: the store gave no answer.
        """
        chosen: StreamFormat = "ndjson" if wanted.format == "json" else wanted.format
        resume_cursor = wanted.scan.resume_cursor(None, wanted.now.horizon_us)
        headers = {
            "Sluice-Resume-Cursor": resume_cursor,
            "Cache-Control": "private, no-store",
            "Vary": VARY,
            "Content-Disposition": f'attachment; filename="{_file_name(wanted, chosen)}"',
        }
        if request.method == HttpMethod.HEAD:
            return StreamedResponse(self._reads, headers, MEDIA_TYPES[chosen], None)
        self._reads.check_open()
        caller = request.state.principal.name
        self._places.check(caller)
        if wanted.asked.count != "none":
            headers["Sluice-Count"] = await self._count(wanted)
        body = ExportBody(
            chosen,
            wanted.view.columns,
            self._turn,
            guard=wanted.asked.csv_guard,
            closing_cursor=resume_cursor if wanted.asked.end else None,
            may_pass=not request.state.principal.filters,
        )
        pieces = self._pieces(caller, wanted, body)
        return StreamedResponse(self._reads, headers, MEDIA_TYPES[chosen], (await anext(pieces), pieces))

    def explained(self, wanted: Retrieval) -> tuple[Export, list[Slice]]:
        """Return the query of the whole export, and its range; the embedded store is queried range by range instead."""
        ahead = wanted.scan.remaining
        return self._query(wanted, ahead), [Slice(ahead.since_us, ahead.until_us)]

    async def _pieces(self, caller: str, wanted: Retrieval, body: ExportBody) -> AsyncGenerator[bytes, None]:
        """Yield the body. The export's slot is held until this ends or is closed."""
        with self._places.held(caller):
            found = _one_ahead(self._batches(wanted))
            async with aclosing(found), aclosing(body.pieces(found)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _batches(self, wanted: Retrieval) -> AsyncGenerator[bytes, None]:
        """Yield the schema and the batches of all rows; nothing, or the schema alone, if there are no rows."""
        ahead, max_rows = wanted.scan.remaining, self._runner.export_rows
        if max_rows is None:
            async with aclosing(self._runner.arrow(self._query(wanted, ahead))) as whole:
                async for piece in whole:
                    if piece != END_OF_STREAM:
                        yield piece
            return

        async def count(part: Slice, width_us: int) -> list[tuple[int, int]]:
            return await self._counted(wanted, part, width_us)

        sizer, is_begun = ChunkSizer(max_rows), False
        descending, first_us = wanted.scan.descending, self._runner.first_slice_us
        stretches = Stretches(count, ahead, descending=descending, first_us=first_us)
        while (stretch := await stretches.next(sizer.rows)) is not None:
            query, size_bytes = self._query(wanted, Window(stretch.from_us, stretch.to_us)), 0
            async with aclosing(self._runner.arrow(query)) as found:
                schema = await anext(found)
                if not is_begun:
                    yield schema
                    is_begun = True
                async for piece in found:
                    if piece != END_OF_STREAM:
                        size_bytes += len(piece)
                        yield piece
            sizer.note(stretch.rows, size_bytes)

    async def _counted(self, wanted: Retrieval, part: Slice, width_us: int) -> list[tuple[int, int]]:
        query = PartCounts(
            table=wanted.scan.table,
            from_us=part.from_us,
            to_us=part.to_us,
            conditions=wanted.view.conditions,
            descending=wanted.scan.descending,
            after=wanted.scan.after,
            width_us=width_us,
        )
        return [(row["bucket"], row["records"]) for row in (await self._runner.rows(query)).rows]

    async def _count(self, wanted: Retrieval) -> str:
        """Return the `Sluice-Count` of the rows that follow."""
        scan, is_capped = wanted.scan, wanted.asked.count == "capped"
        query = Count(
            table=scan.table,
            from_us=scan.remaining.since_us,
            to_us=scan.remaining.until_us,
            conditions=wanted.view.conditions,
            lookback_us=self._lookback_us,
            descending=scan.descending,
            after=scan.after,
            cap=COUNT_CAP if is_capped else None,
            purpose="export",
        )
        count = (await self._runner.rows(query)).rows[0]["records"]
        return f"{count};relation={'gte' if is_capped and count >= COUNT_CAP else 'eq'}"

    def _query(self, wanted: Retrieval, window: Window) -> Export:
        return Export(
            table=wanted.scan.table,
            from_us=window.since_us,
            to_us=window.until_us,
            conditions=wanted.view.conditions,
            lookback_us=self._lookback_us,
            columns=tuple(column.name for column in wanted.view.columns),
            descending=wanted.scan.descending,
            after=wanted.scan.after,
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


def _file_name(wanted: Retrieval, chosen: StreamFormat) -> str:
    """Return the name for the downloaded file: the table and its window, in ISO 8601's basic format."""
    window = wanted.scan.window
    since, until = (
        from_epoch_us(us).isoformat().replace("+00:00", "Z").replace("-", "").replace(":", "")
        for us in (window.since_us, window.until_us)
    )
    return f"{wanted.scan.table}-{since}-{until}.{_EXTENSIONS[chosen]}"
