"""The routes that return pages: `/v1/records` and `/v1/rejects`."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Response

from app.auth.read_slots import left
from app.http import paths
from app.http.contract import OF_ALL, TEXT, TEXT_OR_NULL, Answer, Contract, Named, media, object_schema
from app.http.reading import read_response, strong_etag
from app.query.answer.conditional import (
    FRESH,
    REVISION,
    Ask,
    CachedResponder,
    CacheKey,
    FixedFilters,
    Timing,
    as_key,
    cost_headers,
)
from app.query.answer.contract import HEADERS, NOT_MODIFIED, WINDOW, row_schema
from app.query.answer.documents import Count, RowFormat
from app.query.answer.export import Exports
from app.query.read.cache import CLOSED_TTL_S, CachedAnswer, CachedHeader
from app.query.read.pages import Explanation, Pages, explanation
from app.query.request.negotiation import MEDIA_TYPES, choose_format
from app.query.request.parameters import PAGE_PARAMETERS
from app.query.request.requests import parse_page_request, queryable
from app.query.request.scan import RowRequest, View
from app.query.routes import EndpointSpec, StreamParts
from app.schema.columns import Column
from app.schema.record_json import example_record, example_row
from app.schema.table import REJECTS, schema_version
from app.stores.query import Condition, Export, RowQuery

_NEXT_CURSOR: Final = "Sluice-Next-Cursor"
_json = msgspec.json.Encoder()
PROBLEMS = {
    400: "A parameter or the cursor is not valid; `errors` names each parameter.",
    422: "The query would read too much: query a shorter window.",
    429: "Too many reads are in progress, or the caller has made too many.",
    503: "The store is busy or unavailable; `Retry-After` says when to try again.",
    504: "The query timed out.",
}


class PageEndpoint:
    """Returns the pages of one table, of the rows that meet the conditions `only`."""

    def __init__(
        self,
        path: str,
        pages: Pages,
        exports: Exports,
        responder: CachedResponder,
        only: tuple[Condition, ...] = (),
    ) -> None:
        self.table = pages.feed.table
        self.path, self._pages, self._exports, self.responder = path, pages, exports, responder
        self._settings = pages.settings.query
        self.subject = queryable(self.table, self._settings.max_window_days, only)
        self._fixed = FixedFilters(self.table)
        self._version = schema_version(self.table)

    async def answer(self, request: Ask) -> Response[Any]:
        """Return the page, the export or the explanation that `request` asks for.

        Raises:
            ProblemError: a parameter or the cursor is not valid.
            QueryError: the store gave no answer.
        """
        timing, now = Timing(self.responder.clock), self._pages.now()
        query = request.scope["query_string"].decode("latin-1")
        page_request = parse_page_request(query, self.subject, now)
        scan = self._pages.start(page_request, now)
        if scan.window.to_us >= now.horizon_us and await self._pages.learns_more(now):
            now = self._pages.now()
            scan = self._pages.start(page_request, now)
        self._fixed.check(request, (condition.path for condition in page_request.conditions))
        request.scope["state"][paths.WAITS] = bool(page_request.wait_s)
        row_request = RowRequest(
            params=page_request,
            scan=scan,
            view=View(
                page_request.columns,
                (*page_request.conditions, *page_request.canaries.conditions, *self._fixed.of(request)),
            ),
            format=choose_format(page_request.format, ",".join(request.headers.getall("accept", []))),
            now=now,
        )
        if page_request.explain:
            return await self._explain(request, row_request, timing)
        if page_request.limit is None:
            return await self._exports.answer(request, row_request)

        async def make() -> CachedAnswer:
            return await self._render(row_request, timing)

        key = self._cache_key(request, row_request)
        if page_request.wait_s:
            async with left(request.scope):
                response = await self.responder.answer(request, key, timing, make)
        else:
            response = await self.responder.answer(request, key, timing, make)
        if (cursor := response.headers.get(_NEXT_CURSOR)) is not None:
            response.headers["Link"] = self._next_link(request, cursor)  # of its own: the response may be shared
        return response

    def _cache_key(self, request: Ask, row_request: RowRequest) -> CacheKey:
        page_request, scan, view = row_request.params, row_request.scan, row_request.view
        decided_by = (
            *(self.responder.cache_namespace, self.path, self._version),
            *(row_request.format, repr(page_request.csv_guard), repr(page_request.limit), page_request.count),
            *(repr([_names(column) for column in view.columns]), repr(view.conditions)),
        )
        if scan.is_fixed:
            # The cursors in the response carry the fingerprint of the caller's own filters, and how far it is settled.
            way = (repr(scan.window), repr(scan.descending), repr(scan.after), repr(scan.settled), scan.fingerprint)
            etag = strong_etag(REVISION, *decided_by, *way)
            return CacheKey(key=as_key(etag), etag=etag, ttl_s=CLOSED_TTL_S)
        runner = self._pages.feed.runner
        words = request.scope["query_string"].decode("latin-1")
        return CacheKey(
            key=as_key(*decided_by, words, repr(runner.version(self.table.name))),
            etag=None,
            ttl_s=0.0 if page_request.wait_s else runner.open_ttl_s,
            is_fresh=page_request.latest,
        )

    async def _render(self, row_request: RowRequest, timing: Timing) -> CachedAnswer:
        page_request, columns = row_request.params, row_request.view.columns
        with timing.stage("store"):
            page = await self._pages.page(page_request, row_request.view, row_request.now, timing.add_bytes)
        with timing.stage("encode"):
            body = RowFormat(columns).page(page, row_request.format, count=page.count, guard=page_request.csv_guard)
        headers: dict[CachedHeader, str] = {"Sluice-Resume-Cursor": page.resume_cursor}
        if page.next_cursor is not None:
            headers[_NEXT_CURSOR] = page.next_cursor
        if page.count is not None:
            headers["Sluice-Count"] = f"{page.count.value};relation={page.count.relation}"
        return CachedAnswer(row_request.format, headers, body, is_final=not page.is_short)

    def _next_link(self, request: Ask, cursor: str) -> str:
        query = request.scope["query_string"].decode("latin-1")
        kept = [
            (name, text)
            for name, text in parse_qsl(query, keep_blank_values=True)
            if name not in {"since", "until", "cursor"}
        ]
        path = request.scope.get("root_path", "") + self.path
        return f'<{path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'

    async def _explain(self, request: Ask, row_request: RowRequest, timing: Timing) -> Response[bytes]:
        feed = self._pages.feed
        query: RowQuery | Export
        if row_request.params.limit is None:
            query, slices = self._exports.explained(row_request)
        else:
            query, slices = feed.explained(row_request.scan, row_request.view, row_request.params.limit)
        with timing.stage("store"):
            plan = await feed.runner.explain(query)
        document = explanation(
            row_request,
            fixed=self._fixed.of(request),
            plan=plan,
            slices=slices,
            max_bytes=self._settings.query_max_bytes_billed,
        )
        headers = FRESH | cost_headers(timing, "bypass")
        return read_response(request, _json.encode(document), MEDIA_TYPES["json"], headers)


def _names(column: Column) -> str:
    """Return the name of a served column with those of its served fields."""
    below = ",".join(map(_names, column.fields))
    return f"{column.name}({below})" if below else column.name


def page_contract(endpoint: PageEndpoint) -> Contract:
    """Describe a page: a document of its own as JSON, only the rows in every other format."""
    table = endpoint.table
    row, example = row_schema(table), example_row(table.columns, example_record(table))
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
        window=WINDOW,
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
    name = "RejectPage" if table.name == REJECTS else "RecordPage"
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
        parameters=endpoint.subject.documented(PAGE_PARAMETERS),
        answers={200: described, 304: NOT_MODIFIED},
        problems=PROBLEMS,
    )


def _records(parts: StreamParts) -> PageEndpoint:
    return PageEndpoint(f"{parts.root}/records", parts.pages, parts.exports, parts.responder)


def _rejects(parts: StreamParts) -> PageEndpoint:
    return PageEndpoint(f"{parts.root}/rejects", parts.reject_pages, parts.exports, parts.responder, parts.only)


RECORD_PAGES = EndpointSpec(
    path="/records",
    make=_records,
    answer=PageEndpoint.answer,
    contract=page_contract,
    scope="read",
    name="listRecords",
    summary="Read records",
    text="The records of a time window, each once, in the order of storage. Follow `next_cursor` to read the window, "
    "then `resume_cursor` for new records.",
)
REJECT_PAGES = EndpointSpec(
    path="/rejects",
    make=_rejects,
    answer=PageEndpoint.answer,
    contract=page_contract,
    scope="rejects",
    name="listRejects",
    summary="Read rejected records",
    text="Records that could not be stored: the reason, the field, and the original bytes (base64). Paged like "
    "`/v1/records`.",
    whose=OF_ALL,
)
