"""The routes `/v1/records/stats` and `/v1/rejects/stats`: statistics of rows by time bucket."""

from typing import Any

from litestar import Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIFormat, OpenAPIResponse, OpenAPIType, Schema

from app.http.conditional import weak_etag
from app.http.problems import problem_responses
from app.http.reading import METHODS, operation_ids
from app.query.cache import CachedAnswer
from app.query.endpoints.answering import REVISION, Ask, CachedResponder, CacheKey, FixedFilters, as_key
from app.query.endpoints.filter_parameters import filter_parameters
from app.query.endpoints.openapi import NOT_MODIFIED, answer, operation_type
from app.query.formats.negotiation import MEDIA_TYPES
from app.query.pages import Pages
from app.query.params.page import QueryableTable
from app.query.params.stats import MAX_GROUPS, StatsRequest, parse_stats_request, stats_parameters
from app.query.stats import Stats
from app.query.timing import Timing
from app.schema.filters import filter_table
from app.schema.table import REJECTS
from app.schema.version import schema_version
from app.settings.query import QuerySettings
from app.stores.query import Condition

_PROBLEMS = {
    400: "A parameter is not valid; `errors` names each one.",
    422: "The query would read too much: ask for a shorter window.",
    503: "The store is busy, or cannot be queried; `Retry-After` says when to try again.",
    504: "The query took too long.",
}
_HEADERS = ("ETag", "Cache-Control", "Vary", "Sluice-Cache", "Sluice-Bytes-Processed", "Server-Timing")
_EXAMPLE: dict[str, Any] = {
    "window": {"since": "2026-01-31T11:00:00Z", "until": "2026-01-31T11:50:00Z"},
    "bucket": "PT20M",
    "buckets": ["2026-01-31T11:00:00Z", "2026-01-31T11:20:00Z", "2026-01-31T11:40:00Z"],
    "by": "source",
    "metrics": ["count"],
    "series": [
        {"key": "checkout", "records": 131, "values": {"count": [86, 0, 45]}},
        {"key": None, "records": 7, "values": {"count": [0, 7, 0]}},
    ],
    "omitted_groups": 0,
    "partial": True,
}


class StatsEndpoint:
    """Returns statistics of one table."""

    def __init__(
        self, path: str, stats: Stats, pages: Pages, answering: CachedResponder, settings: QuerySettings
    ) -> None:
        table = pages.feed.table
        self.path = path
        self.answering, self._stats, self._pages, self._settings = answering, stats, pages, settings
        fields = filter_table(table)
        self.subject = QueryableTable(table.columns, fields, settings.max_window_days, table.name != REJECTS)
        self._fixed, self._version = FixedFilters(fields), schema_version(table)

    async def answer(self, request: Ask) -> Response[bytes]:
        """Return the statistics that `request` asks for.

        Raises:
            ProblemError: a parameter is not valid.
            QueryError: the store gave no answer.
        """
        timing = Timing(self.answering.clock)
        query = request.scope["query_string"].decode("latin-1")
        asked = parse_stats_request(query, self.subject, self._pages.now())
        fixed = self._fixed.of(request)

        async def make() -> CachedAnswer:
            with timing.stage("store"):
                found = await self._stats.answer(asked, fixed)
            timing.add_bytes(found.bytes_processed)
            return CachedAnswer(200, MEDIA_TYPES["json"], {}, found.body)

        return await self.answering.answer(request, self._question(asked, fixed, query), timing, make)

    def _question(self, asked: StatsRequest, fixed: tuple[Condition, ...], query: str) -> CacheKey:
        seen = (self.answering.cache_namespace, self.path, self._version, repr(fixed))
        if asked.is_fixed and not asked.is_open:
            # Weak: percentiles and averages of floats are equivalent from run to run, but not bit-identical.
            etag = weak_etag(REVISION, *seen, repr(asked))
            return CacheKey(key=as_key(etag), etag=etag, ttl_s=self._settings.cache_closed_s)
        runner, table = self._pages.feed.runner, self._pages.feed.table
        return CacheKey(key=as_key(*seen, query, repr(runner.version(table.name))), etag=None, ttl_s=runner.open_ttl_s)


def stats_route(endpoint: StatsEndpoint, *, name: str, scope: str, summary: str, text: str) -> HTTPRouteHandler:
    """Return the route of `endpoint`, with the operation name `name` and the description `text`."""
    fields = endpoint.subject.fields
    parameters = {**endpoint.subject.known(stats_parameters(fields)), **filter_parameters(fields)}

    @route(
        endpoint.path,
        http_method=METHODS,
        operation_id=operation_ids(name),
        operation_class=operation_type(parameters, stats_response(), responses={304: NOT_MODIFIED}),
        opt={"scope": scope},
        summary=summary,
        description=text,
        tags=["query"],
        responses=problem_responses(_PROBLEMS),
    )
    async def read_stats(request: Ask) -> Response[bytes]:
        return await endpoint.answering.reads.answer(request, endpoint.answer(request))

    return read_stats


def stats_response() -> OpenAPIResponse:
    """Describe the response."""
    description = (
        "Statistics by column: the starts of the buckets, then for each series and metric one number per bucket, in "
        "the same order."
    )
    return answer(
        description,
        {MEDIA_TYPES["json"]: _answer_schema()},
        headers=_HEADERS,
        examples={MEDIA_TYPES["json"]: _EXAMPLE},
    )


def _answer_schema() -> Schema:
    window = _object("The window, as it was resolved.", since=_instant(), until=_instant())
    key = Schema(description="The value of the field `by`, as records show it; null where a record has none.")
    numbers = Schema(type=OpenAPIType.ARRAY, items=Schema(type=[*_NUMBERS]))
    values = Schema(
        type=OpenAPIType.OBJECT,
        additional_properties=numbers,
        description=(
            "By metric, a number for each bucket. A count is 0 where there are no records, any other metric null where "
            "there are no values. `min` and `max` of an exact decimal are strings, as records show it."
        ),
    )
    series = _object("A group; without `by`, all records.", key=key, records=_count("Of the group."), values=values)
    return _object(
        None,
        window=window,
        bucket=_text("How long a bucket is: an ISO 8601 duration."),
        buckets=Schema(
            type=OpenAPIType.ARRAY,
            items=_instant(),
            description="Where each bucket starts. The first may start before the window; only its records count.",
        ),
        by=Schema(type=[OpenAPIType.STRING, OpenAPIType.NULL], description="As asked for."),
        metrics=Schema(type=OpenAPIType.ARRAY, items=_text(None), description="As asked for."),
        series=Schema(
            type=OpenAPIType.ARRAY,
            items=series,
            max_items=MAX_GROUPS,
            description="Those with the most records first.",
        ),
        omitted_groups=_count("How many groups have fewer records than those of `series`, and are not shown."),
        partial=Schema(type=OpenAPIType.BOOLEAN, description="Whether the last bucket is still filling."),
    )


_NUMBERS = (OpenAPIType.NUMBER, OpenAPIType.STRING, OpenAPIType.NULL)


def _object(description: str | None, **properties: Schema) -> Schema:
    return Schema(
        type=OpenAPIType.OBJECT, description=description, properties={**properties}, required=list(properties)
    )


def _instant() -> Schema:
    return Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)


def _text(description: str | None) -> Schema:
    return Schema(type=OpenAPIType.STRING, description=description)


def _count(description: str) -> Schema:
    return Schema(type=OpenAPIType.INTEGER, minimum=0, description=description)
