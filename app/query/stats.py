"""The routes `/v1/records/stats` and `/v1/rejects/stats`: numbers of rows by time bucket and group, as columns.

The rows that are read are the non-empty buckets; the others are filled in here.
"""

import asyncio
import math
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Response
from msgspec import Meta

from app.http.contract import JSON, OF_ALL, Answer, Contract, media
from app.http.endpoint import EndpointSpec
from app.http.reading import weak_etag
from app.query.answer.conditional import REVISION, Ask, CachedResponder, CacheKey, Timing, as_key
from app.query.answer.contract import NOT_MODIFIED, READ_PROBLEMS, Instant, Window, headers_of, served_window
from app.query.read.buckets import ROWS_AT_ONCE, BucketReader
from app.query.read.cache import CLOSED_TTL_S, CachedAnswer
from app.query.read.feed import Feed
from app.query.request.scan import queryable
from app.query.request.stats import MAX_GROUPS, StatsRequest, length_text, parse_stats_request, stats_parameters
from app.query.routes import StreamParts
from app.runtime.instants import SECOND_US, to_text
from app.schema.columns import Kind
from app.schema.table import schema_version
from app.schema.values import plain_decimal
from app.stores.query import Condition

_LONGEST_TTL_S = 60.0
_COUNTS = ("count", "count_distinct")
_encoder = msgspec.json.Encoder()


class Series(msgspec.Struct):
    """A group; without `by`, all records."""

    key: Annotated[Any, Meta(description="The value of the field `by`, as in records; null if a record has none.")]
    records: Annotated[int, Meta(ge=0, description="Of the group.")]
    values: Annotated[
        dict[str, list[float | str | None]],
        Meta(
            description="By metric, one number per bucket. A count is 0 without records or values, any other metric "
            "null without values. `min` and `max` of an exact decimal are strings, as in records."
        ),
    ]


class StatisticsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of records by bucket and group."""

    window: Window
    bucket: Annotated[str, Meta(description="The length of a bucket, as an ISO 8601 duration.")]
    buckets: Annotated[
        list[Instant],
        Meta(
            description="The start of each bucket. The first may start before the window; only records of the window "
            "count."
        ),
    ]
    by: Annotated[str | None, Meta(description="As asked for.")]
    metrics: Annotated[list[str], Meta(description="As asked for.")]
    series: Annotated[
        list[Series], Meta(max_length=MAX_GROUPS, description="The groups with the most records, largest first.")
    ]
    omitted_groups: Annotated[int, Meta(ge=0, description="The number of smaller groups, which `series` omits.")]
    partial: Annotated[bool, Meta(description="Whether records may still be added to the last bucket.")]


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
_ANSWER = Answer(
    "Statistics by column: the starts of the buckets, then for each series and metric one number per bucket, "
    "in the same order.",
    {JSON: media(StatisticsAnswer, _EXAMPLE)},
    headers_of("ETag", "Cache-Control", "Vary", "Sluice-Cache", "Sluice-Bytes-Processed", "Server-Timing"),
)


async def statistics(reader: BucketReader, request: StatsRequest) -> tuple[bytes, int | None]:
    """Return the statistics that `request` asks for as JSON, and the bytes that the store read, if it reports them.

    Raises:
        QueryError: the store gives no answer.
    """
    if not request.buckets.count:
        return _document(request, []), None
    rows, size_bytes = await reader.rows(request)
    if len(rows) <= ROWS_AT_ONCE:
        return _document(request, rows), size_bytes
    return await asyncio.to_thread(_document, request, rows), size_bytes


def _document(request: StatsRequest, rows: list[dict[str, Any]]) -> bytes:
    """Return the statistics as JSON; `rows` are those of a Statistics query."""
    series = _series(request, rows)
    groups = rows[0]["group_count"] if rows and request.by else len(series)
    buckets = request.buckets
    return _encoder.encode(
        StatisticsAnswer(
            window=served_window(request.window),
            bucket=length_text(buckets.length_us),
            buckets=[to_text(start_us) for start_us in buckets.starts_us()],
            by=request.by.path if request.by else None,
            metrics=[metric.text for metric in request.metrics],
            series=series,
            omitted_groups=groups - len(series),
            partial=request.is_open and buckets.end_us > request.window.to_us,
        )
    )


def _series(request: StatsRequest, rows: list[dict[str, Any]]) -> list[Series]:
    """Return the series, those with the most records first."""
    if request.by is None:
        places = {1: _empty(request, None)}
    else:
        keys = {row["place"]: row["group_key"] for row in rows}
        places = {place: _empty(request, _served(keys[place])) for place in sorted(keys)}
    columns = [(f"metric_{index}" if each.path else "records", each) for index, each in enumerate(request.metrics)]
    for row in rows:
        series, bucket = places[row.get("place", 1)], row["bucket"]
        series.records += row["records"]
        for column, metric in columns:
            value = row[column]
            is_whole = metric.function == "sum" and metric.kind is Kind.INT64 and value is not None
            series.values[metric.text][bucket] = int(value) if is_whole else _served(value)
    return list(places.values())


def _empty(request: StatsRequest, key: Any) -> Series:
    count = request.buckets.count
    values: dict[str, list[Any]] = {
        metric.text: [0 if metric.function in _COUNTS else None] * count for metric in request.metrics
    }
    return Series(key, 0, values)


def _served(value: Any) -> Any:
    """Return a value as rows show it; JSON has no number for NaN and the infinities."""
    match value:
        case Decimal():
            return plain_decimal(value)
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


class StatsEndpoint:
    """Returns statistics of one table, of the rows that meet the conditions `only`."""

    def __init__(self, path: str, feed: Feed, responder: CachedResponder, only: tuple[Condition, ...] = ()) -> None:
        self.path, self.responder, self._feed = path, responder, feed
        self.subject = queryable(feed.table, feed.environment.settings.query.max_window_days, only)
        self._version = schema_version(feed.table)
        self._reader = BucketReader(feed, responder.cache_namespace)

    async def statistics(self, request: Ask) -> Response[bytes]:
        """Return the statistics that `request` asks for.

        Raises:
            ProblemError: a parameter is not valid.
            QueryError: the store gave no answer.
        """
        timing = Timing(self.responder.clock)
        query = request.scope["query_string"].decode("latin-1")
        asked = self._parsed(request, query)

        async def make() -> CachedAnswer:
            with timing.stage("store"):
                newest = asked
                if asked.is_open:  # only now, as it may take a query
                    await self._feed.learn_horizon()
                    newest = self._parsed(request, query)
                body, size_bytes = await statistics(self._reader, newest)
            timing.add_bytes(size_bytes)
            return CachedAnswer("json", {}, body)

        return await self.responder.response(request, self._cache_key(asked, query), timing, make)

    def _parsed(self, request: Ask, query: str) -> StatsRequest:
        asked = parse_stats_request(query, self.subject, self._feed.now())
        conditions = self.subject.restricted(asked.conditions, request.state.principal)
        return msgspec.structs.replace(asked, conditions=conditions)

    def _cache_key(self, asked: StatsRequest, query: str) -> CacheKey:
        decided_by = (self.responder.cache_namespace(), self.path, self._version)
        if asked.is_fixed and not asked.is_open:
            # Weak: percentiles and averages of floats are equivalent from run to run, but not bit-identical.
            etag = weak_etag(REVISION, *decided_by, repr(asked))
            return CacheKey(key=as_key(etag), etag=etag, ttl_s=CLOSED_TTL_S)
        version, ttl_s = self._feed.version(), self._feed.runner.open_ttl_s
        if version is None:  # each look at the open bucket is billed: one for each bucket, as a plot shows no more
            ttl_s = max(ttl_s, min(asked.buckets.length_us / SECOND_US, _LONGEST_TTL_S))
        key = as_key(*decided_by, repr(asked.conditions), query, repr(version))
        return CacheKey(key=key, etag=None, ttl_s=ttl_s)


def stats_contract(endpoint: StatsEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    return Contract(
        parameters=endpoint.subject.documented(stats_parameters(endpoint.subject.fields)),
        answers={200: _ANSWER, 304: NOT_MODIFIED},
        problems=READ_PROBLEMS,
    )


RECORD_STATS: EndpointSpec[StreamParts, StatsEndpoint] = EndpointSpec(
    path="/records/stats",
    make=lambda parts: StatsEndpoint(f"{parts.root}/records/stats", parts.feed, parts.responder),
    respond=StatsEndpoint.statistics,
    contract=stats_contract,
    scope="read",
    name="readStats",
    summary="Read statistics of records",
    text="Counts of the records of a time window in equal time buckets and, with `by`, for each value of a field; also "
    "averages, extremes and percentiles of numeric fields. As in `/v1/records`, copies are excluded; only settled "
    "records count. Every filter of `/v1/records` applies.",
)
REJECT_STATS = msgspec.structs.replace(
    RECORD_STATS,
    path="/rejects/stats",
    make=lambda parts: StatsEndpoint(f"{parts.root}/rejects/stats", parts.reject_feed, parts.responder, parts.only),
    scope="rejects",
    name="readRejectStats",
    summary="Read statistics of rejected records",
    text="Like `/v1/records/stats`, for records that could not be stored: `by=reason` counts each reason. The bytes of "
    "a large record are split over several rows; `part=0` counts each record once.",
    whose=OF_ALL,
)
