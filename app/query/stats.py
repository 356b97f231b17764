"""Statistics of a table: the number of records in each bucket of a window, and metrics of their fields, as columns.

Each request is one query. Its rows are the non-empty buckets; the others are filled in here.
"""

import asyncio
import math
from decimal import Decimal
from typing import Any

import msgspec

from app.query.read.feed import Feed
from app.query.request.buckets import length_text
from app.query.request.parameters import MAX_GROUPS
from app.query.request.stats import StatsRequest
from app.runtime.instants import to_text
from app.schema.columns import Kind
from app.schema.values import plain_decimal
from app.stores.query import Condition, Statistics

# Above this, encoding the document would block the loop for too long: it takes 4 ms, and 0.2 s for 50,000 rows.
_ROWS_AT_ONCE = 1_000
_COUNTS = ("count", "count_distinct")
_encoder = msgspec.json.Encoder()


class StatsAnswer(msgspec.Struct, frozen=True):
    """Statistics as JSON, and how many bytes the store read for them, if it reports that."""

    body: bytes
    bytes_processed: int | None = None


class Series(msgspec.Struct):
    """The metrics of one group: `values` holds one number per bucket for each metric.

    `key` is the group's value of the field, as the API serves it; None for records without one, and if there are no
    groups. In a bucket without values a count is 0, and any other metric is None.
    """

    key: Any
    records: int
    values: dict[str, list[Any]]


class Stats:
    """Computes statistics of one table. It keeps nothing between requests."""

    def __init__(self, feed: Feed) -> None:
        self._runner, self._table, self._lookback_us = feed.runner, feed.table, feed.environment.lookback_us

    async def answer(self, request: StatsRequest, fixed: tuple[Condition, ...]) -> StatsAnswer:
        """Return the statistics that `request` asks for, of the records that also match the `fixed` conditions.

        Raises:
            QueryError: the store gives no answer.
        """
        if not request.buckets.count:
            return StatsAnswer(_document(request, []))
        conditions = (*fixed, *request.conditions)
        answer = await self._runner.rows(self._query(request, conditions))
        if len(answer.rows) <= _ROWS_AT_ONCE:
            body = _document(request, answer.rows)
        else:
            body = await asyncio.to_thread(_document, request, answer.rows)
        return StatsAnswer(body, answer.bytes_processed)

    def _query(self, request: StatsRequest, conditions: tuple[Condition, ...]) -> Statistics:
        return Statistics(
            table=self._table.name,
            within=request.window,
            lookback_us=self._lookback_us,
            conditions=conditions,
            by=request.by.path if request.by else None,
            metrics=request.metrics,
            first_us=request.buckets.first_us,
            bucket_us=request.buckets.length_us,
            max_groups=MAX_GROUPS,
        )


def _document(request: StatsRequest, rows: list[dict[str, Any]]) -> bytes:
    """Return the statistics as JSON; `rows` are those of a Statistics query."""
    series = _series(request, rows)
    groups = rows[0]["group_count"] if rows and request.by else len(series)
    window, buckets = request.window, request.buckets
    return _encoder.encode(
        {
            "window": {"since": to_text(window.from_us), "until": to_text(window.to_us)},
            "bucket": length_text(buckets.length_us),
            "buckets": [to_text(start_us) for start_us in buckets.starts_us()],
            "by": request.by.path if request.by else None,
            "metrics": [metric.text for metric in request.metrics],
            "series": series,
            "omitted_groups": groups - len(series),
            "partial": request.is_open and buckets.end_us > window.to_us,
        }
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
