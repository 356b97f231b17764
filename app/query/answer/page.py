"""The routes that return pages: `/v1/records` and `/v1/rejects`."""

import math
from contextlib import nullcontext
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Response

from app.auth.read_slots import slot_released
from app.http import paths
from app.http.contract import OF_ALL, TEXT, TEXT_OR_NULL, Answer, Contract, Named, media, object_schema
from app.http.endpoint import Ask, EndpointSpec
from app.http.reading import read_response, strong_etag
from app.query.answer.cache import CLOSED_TTL_S, CachedAnswer, CachedHeader, CacheKey
from app.query.answer.contract import (
    FRESH,
    HEADERS,
    NOT_MODIFIED,
    READ_PROBLEMS,
    Cost,
    Window,
    row_schema,
    served_window,
)
from app.query.answer.encoders import page_body
from app.query.parts import StreamParts, TableParts
from app.query.read.feed import Budget
from app.query.read.reads import later
from app.query.readers import READER, READER_PARAMETER
from app.query.request.parameters import MEDIA_TYPES, PAGE_PARAMETERS
from app.query.request.scan import Count, Page, Scan, parse_scan
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import to_text
from app.schema.record_json import example_row
from app.schema.table import REJECTS, schema_version
from app.stores.erasures import ERASURES
from app.stores.query import Position

_NEXT_CURSOR: Final = "Sluice-Next-Cursor"
_json = msgspec.json.Encoder()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a page would ask of the store, if nothing were kept in memory.

    `sql` is the first query, in BigQuery's dialect; it is repeated, with other bounds, for slices of the time range
    until the page is full. Over BigQuery, the window reads whole ranges instead, for all readers. `estimated_bytes` is
    what that query would read, at most, where the store says it, and `max_bytes` what a long one may.
    """

    table: str
    window: Window
    sql: str
    parameters: dict[str, Any]
    estimated_bytes: int | None
    max_bytes: int | None


class PageEndpoint:
    """Returns the pages of one table."""

    def __init__(self, parts: TableParts) -> None:
        self._parts, self.feed, self.subject = parts, parts.feed, parts.subject
        self._clock, self._settings = self.feed.environment.clock, self.feed.environment.settings.query
        self._version, self._poll_s = schema_version(self.feed.table), self.feed.runner.profile.poll_s

    async def page(self, request: Ask) -> Response[Any]:
        """Return the page, the export or the explanation that `request` asks for.

        Raises:
            ProblemError: a parameter or the cursor is not valid, or this mirror has not read as far, or no state of
                that moment can be read yet.
            QueryError: the store gave no answer.
        """
        note = self._parts.readers.named_in(request, self.feed.table.name)
        cost, scan = Cost(self._clock), await self._scan(request)
        needed = scan.settled if scan.fold is None else scan.fold.up_to
        must_be_settled = self.feed.runner.profile.lags or scan.fold is not None
        if must_be_settled and needed is not None and needed > Position(scan.horizon_us, ""):
            horizon = to_text(scan.horizon_us)
            raise later("store_unavailable", f"the cursor is of a moment beyond {horizon}, the horizon here", 1)
        request.scope["state"][paths.WAITS] = bool(scan.wait_s)
        if scan.explain:
            return await self._explain(request, scan, cost)
        if scan.limit is None:
            return await self._parts.exports.response(request, scan, self.feed, note)

        async def make() -> CachedAnswer:
            return self._encoded(await self._page(scan, cost))

        async with slot_released(request.scope) if scan.wait_s else nullcontext():
            response = await self._parts.cache.response(request, self._cache_key(request, scan), cost, make)
        if scan.is_followed and (reached := response.headers.get("Sluice-Resume-Cursor")) is not None:
            note(reached)
        if (cursor := response.headers.get(_NEXT_CURSOR)) is not None:
            response.headers["Link"] = self._next_link(request, cursor)  # of its own: the response may be shared
        return response

    async def _scan(self, request: Ask) -> Scan:
        """Return what `request` asks for, of the rows that its caller may see.

        Raises:
            ProblemError: a parameter or the cursor is not valid.
        """
        query = request.scope["query_string"].decode("latin-1")
        accept = ",".join(request.headers.getall("accept", []))
        scan = parse_scan(query, self.subject, self.feed.now(), accept)
        conditions = self.subject.restricted(scan.conditions, request.state.principal)
        if scan.may_grow and self.feed.runner.learn_horizon is not None:
            await self.feed.learn_horizon()
            scan = scan.at(self.feed.now())
        return msgspec.structs.replace(scan, conditions=conditions)

    async def _page(self, scan: Scan, cost: Cost) -> Page:
        """Read a page; if it is empty and may still grow, wait as long as the scan says."""
        ends_us = self._clock.elapsed_us() + round(scan.wait_s * MICROSECONDS)
        while True:
            version = self.feed.version()
            if scan.wait_s:
                await self.feed.learn_horizon()
                scan = scan.at(self.feed.now())  # after the version: a row in between changes it, or is read now
            budget = Budget(self.feed.environment)
            page = await self.feed.page(scan, budget)
            if page.rows or not page.may_grow or not await self._is_worth_another_look(version, ends_us):
                break
            cost.add_bytes(budget.bytes_processed)
        count = await self.feed.count(scan, budget)
        cost.add_bytes(budget.bytes_processed)
        return msgspec.structs.replace(page, count=count)

    async def _is_worth_another_look(self, version: int | None, ends_us: int) -> bool:
        """Wait until there may be rows, by `version` or at the next poll; False if the time is over before that."""
        while (left_s := (ends_us - self._clock.elapsed_us()) / MICROSECONDS) > 0:
            if not await self._parts.reads.pause(min(self.feed.runner.profile.poll_s, left_s)):
                return False
            if version is None or self.feed.version() != version:
                return True
        return False

    def _encoded(self, page: Page) -> CachedAnswer:
        headers: dict[CachedHeader, str] = {"Sluice-Resume-Cursor": page.resume_cursor}
        if page.next_cursor is not None:
            headers[_NEXT_CURSOR] = page.next_cursor
        if page.count is not None:
            headers["Sluice-Count"] = page.count.header
        is_last = page.may_grow or (page.scan.fold is not None and page.stopped_at is None)
        body = page_body(page, math.ceil(self._poll_s) if is_last else 0)
        return CachedAnswer(page.scan.format, headers, body, is_complete=not page.is_short)

    def _cache_key(self, request: Ask, scan: Scan) -> CacheKey:
        words = request.scope["query_string"].decode("latin-1")
        fold = scan.fold and (scan.fold.tombstones, scan.fold.conditions)  # its moment is of the words and the version
        parts = (self._parts.path, self._version, scan.format, repr((scan.conditions, fold)), words)
        if scan.is_fixed:
            return CacheKey(parts=parts, ttl_s=CLOSED_TTL_S, tag=strong_etag)
        ttl_s = 0.0 if scan.wait_s else self.feed.runner.profile.open_ttl_s
        return CacheKey(parts=(*parts, repr(self.feed.version())), ttl_s=ttl_s, is_fresh=scan.latest)

    def _next_link(self, request: Ask, cursor: str) -> str:
        query = request.scope["query_string"].decode("latin-1")
        kept = [
            (name, text)
            for name, text in parse_qsl(query, keep_blank_values=True)
            if name not in {"since", "until", "cursor"}
        ]
        path = request.scope.get("root_path", "") + self._parts.path
        return f'<{path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'

    async def _explain(self, request: Ask, scan: Scan, cost: Cost) -> Response[bytes]:
        plan = await self.feed.runner.explain(self.feed.explained(scan))
        document = Explanation(
            table=scan.table,
            window=served_window(scan.window),
            sql=plan.text,
            parameters={**plan.parameters},
            estimated_bytes=plan.estimated_bytes,
            max_bytes=None if plan.estimated_bytes is None else self._settings.query_max_bytes_billed,
        )
        headers = FRESH | cost.headers("bypass")
        return read_response(request, _json.encode(document), MEDIA_TYPES["json"], headers)


def page_contract(endpoint: PageEndpoint) -> Contract:
    """Describe a page: a document of its own as JSON, only the rows in every other format."""
    table = endpoint.feed.table
    row, example = row_schema(table), example_row(table)
    page = object_schema(
        None,
        records={"type": "array", "items": row},
        next_cursor={
            **TEXT_OR_NULL,
            "description": "The cursor of the next page; null at the end of the window.",
        },
        resume_cursor={
            **TEXT,
            "description": "The cursor for a later request, which continues with newer records.",
        },
        window=Window,
        poll_after={
            "type": "integer",
            "description": "Seconds to wait before the next request; 0 if more records are already available.",
        },
        optional={"count": Count},
    )
    example_page = {
        "records": [example] if example else [],
        "next_cursor": None,
        "resume_cursor": "q1nDpJcBp3JlY29yZHPC0wAGSVVhPUAAwMCg",
        "window": {"since": "2026-01-31T11:00:00Z", "until": "2026-01-31T12:00:00Z"},
        "poll_after": 1,
    }
    name = {REJECTS: "RejectPage", ERASURES: "ErasurePage"}.get(table.name, "RecordPage")
    contents = {
        "json": media({"anyOf": [Named(name, page), Explanation]}, example_page),
        "ndjson": media(row, example),
        "csv": media({**TEXT, "description": "RFC 4180: a header line, then one line per record."}),
        "arrow": media({"description": "An Arrow IPC stream."}),
    }
    described = Answer(
        "A page of records, in the order of (`ingest_time`, `delivery_key`). As NDJSON, each line is one record.",
        {media_type: contents[name] for name, media_type in MEDIA_TYPES.items()},
        HEADERS,
    )
    return Contract(
        parameters={**endpoint.subject.documented(PAGE_PARAMETERS), READER: READER_PARAMETER},
        answers={200: described, 304: NOT_MODIFIED},
        problems=READ_PROBLEMS,
    )


RECORD_PAGES: EndpointSpec[StreamParts, PageEndpoint] = EndpointSpec(
    path="/records",
    make=lambda stream: PageEndpoint(stream.records),
    respond=PageEndpoint.page,
    contract=page_contract,
    scope="read",
    name="listRecords",
    summary="Read records",
    text="The records of a time window, each once, in the order of storage. Follow `next_cursor` to read the window, "
    "then `resume_cursor` for new records.",
)
REJECT_PAGES = msgspec.structs.replace(
    RECORD_PAGES,
    path="/rejects",
    make=lambda stream: PageEndpoint(stream.rejects),
    scope="rejects",
    name="listRejects",
    summary="Read rejected records",
    text="Records that could not be stored: the reason, the field, and the original bytes (base64). Paged like "
    "`/v1/records`.",
    whose=OF_ALL,
)
