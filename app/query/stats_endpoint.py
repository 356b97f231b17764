"""The routes `/v1/records/stats` and `/v1/rejects/stats`: statistics of rows by time bucket."""

from typing import Any

from litestar import Response

from app.http.contract import INSTANT, JSON, OF_ALL, TEXT, TEXT_OR_NULL, Answer, Contract, Named, media, object_schema
from app.http.reading import weak_etag
from app.query.answer.conditional import REVISION, Ask, CachedResponder, CacheKey, FixedFilters, Timing, as_key
from app.query.answer.contract import NOT_MODIFIED, WINDOW, headers_of
from app.query.read.cache import CLOSED_TTL_S, CachedAnswer
from app.query.read.feed import Feed
from app.query.request.parameters import MAX_GROUPS
from app.query.request.scan import queryable
from app.query.request.stats import StatsRequest, parse_stats_request, stats_parameters
from app.query.routes import EndpointSpec, StreamParts
from app.query.stats import Stats
from app.schema.table import schema_version
from app.stores.query import Condition

_PROBLEMS = {
    400: "A parameter is not valid; `errors` names each parameter.",
    422: "The query would read too much: query a shorter window.",
    503: "The store is busy or unavailable; `Retry-After` says when to try again.",
    504: "The query timed out.",
}
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
_VALUES = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": ["number", "string", "null"]}},
    "description": "By metric, one number per bucket. A count is 0 without records or values, any other metric null "
    "without values. `min` and `max` of an exact decimal are strings, as in records.",
}
_SERIES = object_schema(
    "A group; without `by`, all records.",
    key={"description": "The value of the field `by`, as in records; null if a record has none."},
    records={"type": "integer", "minimum": 0, "description": "Of the group."},
    values=_VALUES,
)
_STATISTICS = object_schema(
    None,
    window=WINDOW,
    bucket={**TEXT, "description": "The length of a bucket, as an ISO 8601 duration."},
    buckets={
        "type": "array",
        "items": INSTANT,
        "description": (
            "The start of each bucket. The first may start before the window; only records of the window count."
        ),
    },
    by={**TEXT_OR_NULL, "description": "As asked for."},
    metrics={"type": "array", "items": TEXT, "description": "As asked for."},
    series={
        "type": "array",
        "items": Named("StatisticsSeries", _SERIES),
        "maxItems": MAX_GROUPS,
        "description": "The groups with the most records, largest first.",
    },
    omitted_groups={
        "type": "integer",
        "minimum": 0,
        "description": "The number of smaller groups, which `series` omits.",
    },
    partial={"type": "boolean", "description": "Whether records may still be added to the last bucket."},
)
_ANSWER = Answer(
    "Statistics by column: the starts of the buckets, then for each series and metric one number per bucket, "
    "in the same order.",
    {JSON: media(Named("Statistics", _STATISTICS), _EXAMPLE)},
    headers_of("ETag", "Cache-Control", "Vary", "Sluice-Cache", "Sluice-Bytes-Processed", "Server-Timing"),
)


class StatsEndpoint:
    """Returns statistics of one table, of the rows that meet the conditions `only`."""

    def __init__(self, path: str, feed: Feed, responder: CachedResponder, only: tuple[Condition, ...] = ()) -> None:
        table = feed.table
        self.path, self.responder, self._feed, self._stats = path, responder, feed, Stats(feed)
        self.subject = queryable(table, feed.environment.settings.query.max_window_days, only)
        self._fixed, self._version = FixedFilters(table), schema_version(table)

    async def answer(self, request: Ask) -> Response[bytes]:
        """Return the statistics that `request` asks for.

        Raises:
            ProblemError: a parameter is not valid.
            QueryError: the store gave no answer.
        """
        timing = Timing(self.responder.clock)
        query = request.scope["query_string"].decode("latin-1")
        await self._feed.learn_horizon()
        stats_request = parse_stats_request(query, self.subject, self._feed.now())
        self._fixed.check(request, (condition.path for condition in stats_request.conditions))
        fixed = self._fixed.of(request)

        async def make() -> CachedAnswer:
            with timing.stage("store"):
                result = await self._stats.answer(stats_request, fixed)
            timing.add_bytes(result.bytes_processed)
            return CachedAnswer("json", {}, result.body)

        return await self.responder.answer(request, self._cache_key(stats_request, fixed, query), timing, make)

    def _cache_key(self, stats_request: StatsRequest, fixed: tuple[Condition, ...], query: str) -> CacheKey:
        seen = (self.responder.cache_namespace, self.path, self._version, repr(fixed))
        if stats_request.is_fixed and not stats_request.is_open:
            # Weak: percentiles and averages of floats are equivalent from run to run, but not bit-identical.
            etag = weak_etag(REVISION, *seen, repr(stats_request))
            return CacheKey(key=as_key(etag), etag=etag, ttl_s=CLOSED_TTL_S)
        feed = self._feed
        return CacheKey(key=as_key(*seen, query, repr(feed.version())), etag=None, ttl_s=feed.runner.open_ttl_s)


def stats_contract(endpoint: StatsEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    return Contract(
        parameters=endpoint.subject.documented(stats_parameters(endpoint.subject.fields)),
        answers={200: _ANSWER, 304: NOT_MODIFIED},
        problems=_PROBLEMS,
    )


def _of_records(parts: StreamParts) -> StatsEndpoint:
    return StatsEndpoint(f"{parts.root}/records/stats", parts.feed, parts.responder)


def _of_rejects(parts: StreamParts) -> StatsEndpoint:
    return StatsEndpoint(f"{parts.root}/rejects/stats", parts.reject_feed, parts.responder, parts.only)


RECORD_STATS = EndpointSpec(
    path="/records/stats",
    make=_of_records,
    answer=StatsEndpoint.answer,
    contract=stats_contract,
    scope="read",
    name="readStats",
    summary="Read statistics of records",
    text="Counts of the records of a time window in equal time buckets and, with `by`, for each value of a field; also "
    "averages, extremes and percentiles of numeric fields. As in `/v1/records`, copies are excluded; only settled "
    "records count. Every filter of `/v1/records` applies.",
)
REJECT_STATS = EndpointSpec(
    path="/rejects/stats",
    make=_of_rejects,
    answer=StatsEndpoint.answer,
    contract=stats_contract,
    scope="rejects",
    name="readRejectStats",
    summary="Read statistics of rejected records",
    text="Like `/v1/records/stats`, for records that could not be stored: `by=reason` counts each reason. The bytes of "
    "a large record are split over several rows; `part=0` counts each record once.",
    whose=OF_ALL,
)
