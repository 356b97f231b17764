"""The routes `/v1/records/stats` and `/v1/rejects/stats`: numbers of rows by time bucket and group, as columns.

Settled buckets are read once, and the rest of a window with each request. A bucket that ends before the horizon does
not change. So a dashboard, which asks the same question about the time up to now every few seconds, pays for the newest
buckets only; the window (app.stores.window) often has those, too. The rows that are read are the non-empty buckets; the
others are filled in here.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
from cachetools import TLRUCache
from litestar import Response
from msgspec import Meta

from app.http.contract import JSON, OF_ALL, Answer, Contract, media
from app.http.endpoint import Ask, EndpointSpec
from app.http.reading import weak_etag
from app.query.answer.cache import CLOSED_TTL_S, CachedAnswer, CacheKey, digest_of
from app.query.answer.contract import NOT_MODIFIED, READ_PROBLEMS, Cost, Instant, Window, headers_of, served_window
from app.query.parts import StreamParts, TableParts
from app.query.read.feed import Feed
from app.query.request.stats import MAX_GROUPS, StatsRequest, length_text, parse_stats_request, stats_parameters
from app.runtime.clock import MICROSECONDS
from app.runtime.instants import SECOND_US, TimeRange, to_text
from app.schema.columns import Kind
from app.schema.table import schema_version
from app.schema.values import plain_decimal
from app.stores.query import Statistics
from app.stores.source import Answer as StoreAnswer
from app.stores.source import Row

_LONGEST_TTL_S = 60.0
_COUNTS = ("count", "count_distinct")
_encoder = msgspec.json.Encoder()


MOST_ROWS = 8_000
"""How many rows are kept of a table, of about 600 bytes each: more than the 6,000 of 120 buckets of 50 groups."""


class _Kept(NamedTuple):
    """The rows of the whole buckets of a range; `bucket` is a bucket's number since 1970.

    They have all groups: which ones are the largest depends on the window. `due_us` (the clock's `elapsed_us`) is when
    they are forgotten, as answers about closed windows are.
    """

    within: TimeRange
    rows: Sequence[Row]
    due_us: int


class BucketReader:
    """Reads the statistics of one table, and keeps the settled buckets of the latest questions.

    `generation` changes with every erasure: what was kept before may count an erased record.
    """

    def __init__(self, feed: Feed, generation: Callable[[], str]) -> None:
        self._feed, self._generation = feed, generation
        self._elapsed_us = feed.environment.clock.elapsed_us
        self._kept: TLRUCache[str, _Kept] = TLRUCache(
            MOST_ROWS,
            ttu=lambda _question, kept, _now_us: kept.due_us,
            timer=self._elapsed_us,
            getsizeof=lambda kept: 1 + len(kept.rows),
        )

    async def rows(self, request: StatsRequest) -> tuple[list[Row], int | None]:
        """Return the rows of a request, as those of Statistics, and the bytes that the store read, if it reports them.

        Raises:
            QueryError: the store gave no answer.
        """
        window = request.window
        if request.is_fixed and not request.is_open:  # the response cache has those
            answer = await self._ask(request, window)
            return answer.rows, answer.bytes_processed
        whole, length_us = request.whole_buckets, request.buckets.length_us
        asked = self._generation(), request.conditions, request.by, request.metrics, length_us
        question = digest_of(repr(asked))  # a filter may be long
        kept = self._kept.get(question)
        due_us = self._elapsed_us() + round(CLOSED_TTL_S * MICROSECONDS) if kept is None else kept.due_us
        reused = _NOTHING if kept is None else _common(kept.within, whole)
        answers = [await self._ask(request, part) for part in _without(window, reused)]
        used = answers
        if reused.length_us and not all(map(_has_all_groups, answers)):  # now there are too many
            reused, used = _NOTHING, [await self._ask(request, window)]
            answers = [*answers, *used]
        has_all_groups = all(map(_has_all_groups, used))
        new = [row for answer in used for row in answer.rows]
        again = [] if kept is None else [row for row in kept.rows if row["bucket"] * length_us in reused]
        is_placed = request.by is None or not has_all_groups
        # In a thread, as is what follows: 50,000 rows would hold the loop for a fifth of a second.
        rows, settled = await asyncio.to_thread(_assembled, request, new, again, whole, is_placed=is_placed)
        self._kept.pop(question, None)
        with suppress(ValueError):  # it is too much
            if has_all_groups:
                self._kept[question] = _Kept(whole, settled, due_us)
        billed = [answer.bytes_processed for answer in answers if answer.bytes_processed is not None]
        return rows, sum(billed) if billed else None

    async def _ask(self, request: StatsRequest, part: TimeRange) -> StoreAnswer:
        return await self._feed.runner.rows(
            Statistics(
                table=self._feed.table.name,
                within=part,
                lookback_us=self._feed.environment.lookback_us,
                conditions=request.conditions,
                by=request.by.path if request.by else None,
                metrics=request.metrics,
                first_us=request.buckets.first_us,
                bucket_us=request.buckets.length_us,
                max_groups=MAX_GROUPS,
            )
        )


_NOTHING = TimeRange(0, 0)


def _common(one: TimeRange, other: TimeRange) -> TimeRange:
    from_us = max(one.from_us, other.from_us)
    return TimeRange(from_us, max(from_us, min(one.to_us, other.to_us)))


def _without(window: TimeRange, reused: TimeRange) -> list[TimeRange]:
    """Return what is left of a window, which is whole if nothing is reused."""
    if not reused.length_us:
        return [window]
    ends = (TimeRange(window.from_us, reused.from_us), TimeRange(reused.to_us, window.to_us))
    return [part for part in ends if part.length_us]


def _assembled(
    request: StatsRequest, new: Sequence[Row], again: Sequence[Row], whole: TimeRange, *, is_placed: bool
) -> tuple[list[Row], list[Row]]:
    """Return the rows of a request, with places unless those of `new` have theirs; and those in `whole`, to keep."""
    length_us, first = request.buckets.length_us, request.buckets.first_us // request.buckets.length_us
    settled = [row | {"bucket": first + row["bucket"]} for row in new] + [*again]
    rows = [*new, *(row | {"bucket": row["bucket"] - first} for row in again)]
    return rows if is_placed else _placed(rows), [row for row in settled if row["bucket"] * length_us in whole]


def _has_all_groups(answer: StoreAnswer) -> bool:
    return not answer.rows or answer.rows[0].get("group_count", 0) <= MAX_GROUPS


def _placed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the largest groups of several queries, in their places: as one query would return them."""
    sizes = Counter[Any]()
    for row in rows:
        sizes[row["group_key"]] += row["records"]
    largest = sorted(sizes, key=lambda key: (-sizes[key], key is not None, key))
    places = {key: place for place, key in enumerate(largest[:MAX_GROUPS], start=1)}
    return [
        row | {"place": places[row["group_key"]], "group_count": len(sizes)}
        for row in rows
        if row["group_key"] in places
    ]


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
    """Returns statistics of one table."""

    def __init__(self, parts: TableParts) -> None:
        self._parts, self._feed, self.subject = parts, parts.feed, parts.subject
        self._version = schema_version(self._feed.table)
        self._reader = BucketReader(self._feed, parts.cache.namespace)

    async def statistics(self, request: Ask) -> Response[bytes]:
        """Return the statistics that `request` asks for.

        Raises:
            ProblemError: a parameter is not valid.
            QueryError: the store gave no answer.
        """
        cost = Cost(self._feed.environment.clock)
        query = request.scope["query_string"].decode("latin-1")
        asked = self._parsed(request, query)

        async def make() -> CachedAnswer:
            newest = asked
            if asked.is_open:  # only now, as it may take a query
                await self._feed.learn_horizon()
                newest = self._parsed(request, query)
            body, size_bytes = await statistics(self._reader, newest)
            cost.add_bytes(size_bytes)
            return CachedAnswer("json", {}, body)

        return await self._parts.cache.response(request, self._cache_key(asked, query), cost, make)

    def _parsed(self, request: Ask, query: str) -> StatsRequest:
        asked = parse_stats_request(query, self.subject, self._feed.now())
        conditions = self.subject.restricted(asked.conditions, request.state.principal)
        return msgspec.structs.replace(asked, conditions=conditions)

    def _cache_key(self, asked: StatsRequest, query: str) -> CacheKey:
        parts = (self._parts.path + "/stats", self._version, repr(asked.conditions), query)
        if asked.is_fixed and not asked.is_open:
            # Weak: percentiles and averages of floats are equivalent from run to run, but not bit-identical.
            return CacheKey(parts=parts, ttl_s=CLOSED_TTL_S, tag=weak_etag)
        version, ttl_s = self._feed.version(), self._feed.runner.profile.open_ttl_s
        if version is None:  # each look at the open bucket is billed: one for each bucket, as a plot shows no more
            ttl_s = max(ttl_s, min(asked.buckets.length_us / SECOND_US, _LONGEST_TTL_S))
        return CacheKey(parts=(*parts, repr(version)), ttl_s=ttl_s)


def stats_contract(endpoint: StatsEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    return Contract(
        parameters=endpoint.subject.documented(stats_parameters(endpoint.subject.fields)),
        answers={200: _ANSWER, 304: NOT_MODIFIED},
        problems=READ_PROBLEMS,
    )


RECORD_STATS: EndpointSpec[StreamParts, StatsEndpoint] = EndpointSpec(
    path="/records/stats",
    make=lambda stream: StatsEndpoint(stream.records),
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
    make=lambda stream: StatsEndpoint(stream.rejects),
    scope="rejects",
    name="readRejectStats",
    summary="Read statistics of rejected records",
    text="Like `/v1/records/stats`, for records that could not be stored: `by=reason` counts each reason. The bytes of "
    "a large record are split over several rows; `part=0` counts each record once.",
    whose=OF_ALL,
)
