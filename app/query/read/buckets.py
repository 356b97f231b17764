"""Read the rows of statistics: those of settled buckets once, and the rest of a window with each request.

A bucket that ends before the horizon does not change. So a dashboard, which asks the same question about the time up to
now every few seconds, pays for the newest buckets only; the window (app.stores.window) often has those, too.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from cachetools import TLRUCache

from app.query.read.cache import CLOSED_TTL_S, digest_of
from app.query.read.feed import Feed
from app.query.request.stats import MAX_GROUPS, StatsRequest
from app.runtime.clock import MICROSECONDS
from app.runtime.time_range import TimeRange
from app.stores.query import Statistics
from app.stores.source import Answer, Row

ROWS_AT_ONCE = 1_000
"""More are assembled and encoded in a thread: 50,000 would hold the loop for a fifth of a second."""
MOST_ROWS = 8_000
"""How many rows are kept of a table, of about 600 bytes each: more than the 6,000 of 120 buckets of 50 groups."""


class _Kept(NamedTuple):
    """The rows of the whole buckets of a range; `bucket` is a bucket's number since 1970.

    Without `has_all_groups` there are none: which groups are the largest depends on the window. `due_us` (the clock's
    `elapsed_us`) is when they are forgotten, as answers about closed windows are.
    """

    within: TimeRange
    rows: Sequence[Row]
    has_all_groups: bool
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
        reused = _NOTHING if kept is None or not kept.has_all_groups else _common(kept.within, whole)
        answers = [await self._ask(request, part) for part in _without(window, reused)]
        used = answers
        if reused.length_us and not all(map(_has_all_groups, answers)):  # now there are too many
            reused, used = _NOTHING, [await self._ask(request, window)]
            answers = [*answers, *used]
        has_all_groups = all(map(_has_all_groups, used))
        new = [row for answer in used for row in answer.rows]
        again = [] if kept is None else [row for row in kept.rows if row["bucket"] * length_us in reused]
        work = partial(_assembled, request, new, again, whole, is_placed=request.by is None or not has_all_groups)
        rows, settled = work() if len(new) + len(again) <= ROWS_AT_ONCE else await asyncio.to_thread(work)
        self._keep(question, _Kept(whole, settled if has_all_groups else (), has_all_groups, due_us))
        billed = [answer.bytes_processed for answer in answers if answer.bytes_processed is not None]
        return rows, sum(billed) if billed else None

    def _keep(self, question: str, kept: _Kept) -> None:
        self._kept.pop(question, None)
        with suppress(ValueError):  # it is too much
            self._kept[question] = kept

    async def _ask(self, request: StatsRequest, part: TimeRange) -> Answer:
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


def _has_all_groups(answer: Answer) -> bool:
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
