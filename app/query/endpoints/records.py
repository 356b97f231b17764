"""The routes of the query side: `/v1/records`, one record by id, `/v1/rejects` and `/v1/problems`.

The framework parses nothing here: the handlers read the query string themselves, so that a misspelt parameter
is an error and not without effect. Each route answers HEAD as it answers GET, without the body.
"""

from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app import paths
from app.clock import Clock
from app.errors import CATALOGUE, ProblemError, problem_responses
from app.query.endpoints.openapi import (
    ProblemEntry,
    ProblemList,
    operation_type,
    page_response,
    row_schema,
    versions_response,
)
from app.query.feed import Feed, Page
from app.query.formats.documents import MEDIA_TYPES, RowFormat, choose_format
from app.query.instants import DAY_US, SECOND_US, clamp
from app.query.params.page import (
    MAX_LIMIT,
    PAGE_PARAMETERS,
    RECORD_PARAMETERS,
    Window,
    parse_nothing,
    parse_page_request,
    parse_versions,
)
from app.query.reads import Reads
from app.query.runner import QueryRunner
from app.reading import METHODS, operation_ids, read_response
from app.schema.columns import Column
from app.schema.ids import read_id
from app.schema.table import Table
from app.settings import Settings

_FRESH = {"Cache-Control": "private, no-store"}
_PROBLEMS = {
    400: "A parameter or the cursor is not valid; `errors` names each parameter.",
    401: "No token, or not a valid one.",
    403: "The caller may not do that.",
}
_STORE_PROBLEMS = {
    422: "The query would read too much: ask for a shorter window.",
    503: "The store is busy, or cannot be queried; `Retry-After` says when to try again.",
    504: "The query took too long.",
}
_LOOK_UP_PROBLEMS = {**_STORE_PROBLEMS, 422: "The record was not found within what one look-up may read."}
_Request = Request[Any, Any, Any]


def query_routes(  # noqa: PLR0913 - the dependencies of the whole way out
    *,
    settings: Settings,
    clock: Clock,
    records: Table,
    rejects: Table,
    runner: QueryRunner,
    reads: Reads | None = None,
) -> list[HTTPRouteHandler]:
    """Return the routes; the ones by id only where the record type names an id. `reads` is what a stop drains."""
    reads = reads or Reads(clock)
    feeds = {
        table.name: Feed(
            runner,
            table,
            lookback_s=settings.dedupe_lookback_s,
            max_window_days=settings.max_window_days,
        )
        for table in (records, rejects)
    }
    routes = [
        _page_route(
            paths.RECORDS,
            "listRecords",
            "Read records",
            "The records of a time window, each once, in the order they were stored: walk it with `next_cursor`, then "
            "follow what is new with `resume_cursor`.",
            pages=_Pages(feeds[records.name], records, settings, clock, paths.RECORDS),
            reads=reads,
        ),
        _page_route(
            paths.REJECTS,
            "listRejects",
            "Read rejected records",
            "What could not be stored: the reason, the field, and the bytes as they came (base64). Paged as "
            "`/v1/records` is.",
            pages=_Pages(feeds[rejects.name], rejects, settings, clock, paths.REJECTS),
            reads=reads,
        ),
        _problems_route(),
    ]
    if records.id is not None:
        routes += _record_routes(_Records(feeds[records.name], records, records.id, settings, clock), reads)
    return routes


class _Pages:
    """Answers with the pages of one table."""

    def __init__(self, feed: Feed, table: Table, settings: Settings, clock: Clock, path: str) -> None:
        self.table = table
        self._feed, self._clock, self._path = feed, clock, path
        self._max_window_days = settings.max_window_days
        self._format = RowFormat(table.columns)

    async def answer(self, request: _Request) -> Response[bytes]:
        """Answer with the page that `request` asks for.

        Raises:
            ProblemError: a parameter or the cursor is not valid.
        """
        query = request.scope["query_string"].decode("latin-1")
        now_us = self._clock.now_us()
        # The clock has moved on since: from the same `now`, so that the longest window is not a microsecond too long.
        horizon_us = min(self._feed.horizon_us(), now_us)
        asked = parse_page_request(
            query,
            now_us=now_us,
            horizon_us=horizon_us,
            max_window_days=self._max_window_days,
        )
        page = await self._feed.page(asked, horizon_us)
        chosen = choose_format(asked.format, ",".join(request.headers.getall("accept", [])))
        headers = {
            **_FRESH,
            "Vary": "Accept",
            "Sluice-Resume-Cursor": page.resume_cursor,
            **self._next_headers(request, query, page),
        }
        return read_response(request, self._format.page(page, chosen), MEDIA_TYPES[chosen], headers)

    def _next_headers(self, request: _Request, query: str, page: Page) -> dict[str, str]:
        if page.next_cursor is None:
            return {}
        kept = [(name, text) for name, text in parse_qsl(query) if name not in {"since", "until", "cursor"}]
        path = request.scope.get("root_path", "") + self._path
        url = f"{path}?{urlencode([*kept, ('cursor', page.next_cursor)])}"
        return {"Link": f'<{url}>; rel="next"', "Sluice-Next-Cursor": page.next_cursor}


class _Records:
    """Answers with one record."""

    def __init__(self, feed: Feed, table: Table, id_column: Column, settings: Settings, clock: Clock) -> None:
        self.table = table
        self._feed, self._id, self._clock = feed, id_column, clock
        self._retention_us = settings.retention_days * DAY_US
        # Instances' clocks differ: a row may be stamped a little later than it is here.
        self._ahead_us = round(settings.clock_skew_s * SECOND_US) + 1
        self._format = RowFormat(table.columns)

    async def answer(self, request: _Request) -> Response[bytes]:
        """Answer with the record whose id stands in the path: freshly read, not only as far as it is settled.

        Raises:
            ProblemError: there is no such record, or a parameter is not valid.
        """
        want_all = parse_versions(request.scope["query_string"].decode("latin-1"))
        text = paths.id_in_path(request.scope)
        record_id = read_id(self._id, text)
        if record_id is None:
            raise _no_record(text)
        now_us = self._clock.now_us()
        window = Window(clamp(now_us - self._retention_us), clamp(now_us + self._ahead_us))
        limit = MAX_LIMIT + 1 if want_all else 1
        rows = await self._feed.versions(record_id, window, limit)
        if not rows:
            raise _no_record(text)
        if want_all:
            body = self._format.versions(rows[:MAX_LIMIT], complete=len(rows) <= MAX_LIMIT)
        else:
            body = self._format.record(rows[0])
        return read_response(request, body, MEDIA_TYPES["json"], _FRESH)


def _no_record(text: str) -> ProblemError:
    return ProblemError("not_found", f"there is no record with the id {text[:128]!r}")


def _page_route(  # noqa: PLR0913 - what one route is made of
    path: str, name: str, summary: str, description: str, *, pages: _Pages, reads: Reads
) -> HTTPRouteHandler:
    @route(
        path,
        http_method=METHODS,
        operation_id=operation_ids(name),
        operation_class=operation_type(PAGE_PARAMETERS, page_response(row_schema(pages.table.columns))),
        summary=summary,
        description=description,
        tags=["query"],
        responses=problem_responses({**_PROBLEMS, **_STORE_PROBLEMS}),
    )
    async def read_page(request: _Request) -> Response[bytes]:
        return await reads.answer(request, pages.answer(request))

    return read_page


def _record_routes(records: _Records, reads: Reads) -> list[HTTPRouteHandler]:
    answer = versions_response(row_schema(records.table.columns))

    @route(
        paths.RECORDS + "/{record_id:str}",
        http_method=METHODS,
        operation_id=operation_ids("getRecord"),
        operation_class=operation_type(RECORD_PARAMETERS, answer, path="record_id"),
        summary="Read one record",
        description="The latest version of the record with this id, as soon as it is stored; or all its versions.",
        tags=["query"],
        responses=problem_responses({**_PROBLEMS, 404: "There is no record with this id.", **_LOOK_UP_PROBLEMS}),
    )
    async def read_record(request: _Request) -> Response[bytes]:
        return await reads.answer(request, records.answer(request))

    # An id may hold slashes; the route above ends at the first.
    @route(paths.RECORDS + "/{record_id:str}/{rest:path}", http_method=METHODS, include_in_schema=False)
    async def read_record_with_slashes(request: _Request) -> Response[bytes]:
        return await reads.answer(request, records.answer(request))

    return [read_record, read_record_with_slashes]


def _problems_route() -> HTTPRouteHandler:
    problems = [
        ProblemEntry(
            type=f"{paths.PROBLEMS}#{code}",
            code=code,
            status=kind.status,
            title=kind.title,
            advice=kind.advice,
        )
        for code, kind in CATALOGUE.items()
    ]
    body = msgspec.json.encode(ProblemList(problems))

    @route(
        paths.PROBLEMS,
        http_method=METHODS,
        operation_id=operation_ids("listProblems"),
        summary="Read the catalogue of problems",
        description="Every `code` of a problem document, with its status and what to do about it.",
        tags=["query"],
        responses=problem_responses(_PROBLEMS),
    )
    async def read_problems(request: _Request) -> Response[ProblemList]:
        parse_nothing(request.scope["query_string"].decode("latin-1"))
        headers = {"Cache-Control": "private, max-age=3600"}
        # The annotation is for the OpenAPI document; the list was encoded once, above.
        return cast("Response[ProblemList]", read_response(request, body, MEDIA_TYPES["json"], headers))

    return read_problems
