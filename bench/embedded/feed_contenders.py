"""The ways to read a page of the feed from the embedded store, and what is read: for `bench.embedded.feed_pages`."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import duckdb
import msgspec

from app.query.cursor import Cursor, encode_cursor
from app.query.feed import Feed
from app.query.pages import Pages
from app.query.params.page import Now, PageRequest, Window
from app.query.reads import Reads
from app.query.scan import View
from app.query.slices import Slice, feed_slices
from app.runtime.clock import SystemClock
from app.runtime.instants import DAY_US, SECOND_US, epoch_us
from app.settings.load import Settings
from app.stores.duckdb.store import EmbeddedStore
from app.stores.query import Position, Scalar
from app.stores.sql.statement import Statement
from bench.embedded.feed_rows import RECORDS, ROWS, START_US, Layout

SETTINGS = Settings()
LOOKBACK_US = round(SETTINGS.query.dedupe_lookback_s * SECOND_US)
Read = Callable[[], Awaitable[list[Any]]]
_VIEW = View(RECORDS.columns)
_COLUMNS = ", ".join(f"`{column.name}`" for column in RECORDS.columns)


class Shape(msgspec.Struct, frozen=True):
    """What is read, and how often per round: by `feed`, and by the others, at the first of its places."""

    limit: int
    descending: bool
    times: int
    times_of_others: int


SHAPES = {
    "page_of_100_asc": Shape(100, descending=False, times=40, times_of_others=8),
    "page_of_100_desc": Shape(100, descending=True, times=40, times_of_others=8),
    "page_of_1000_asc": Shape(1_000, descending=False, times=20, times_of_others=4),
}
LOOK_UPS = 30


def number_sql(*, descending: bool) -> str:
    """Return the query that `number` stands for, with the parameters of `app.stores.sql.statement`."""
    direction, beyond = (" DESC", "<") if descending else ("", ">")
    previous = "LAG(`ingest_time`) OVER (PARTITION BY `delivery_key` ORDER BY `ingest_time`)"
    return f"""\
WITH original AS (
  SELECT {_COLUMNS}
  FROM `records`
  WHERE `ingest_time` >= @lookback_from_us AND `ingest_time` < @to_us
  QUALIFY {previous} IS NULL OR {previous} < TIMESTAMP_SUB(`ingest_time`, INTERVAL @lookback_micros MICROSECOND)
)
SELECT {_COLUMNS}
FROM original
WHERE `ingest_time` >= @from_us
  AND (`ingest_time` {beyond} @after_us OR (`ingest_time` = @after_us AND `delivery_key` {beyond} @after_key))
ORDER BY `ingest_time`{direction}, `delivery_key`{direction}
LIMIT @row_limit
"""  # noqa: S608 - the declaration's own names


class Reader:
    """Reads one file in each contender's way."""

    def __init__(self, path: str, layout: Layout) -> None:
        self._store = EmbeddedStore.open(path, [RECORDS], SystemClock())
        self._connection = duckdb.connect(path)
        self._window = Window(START_US, START_US + layout.span_us)
        self._clock = SystemClock()
        self._feed = Feed(self._store, RECORDS, lookback_s=SETTINGS.query.dedupe_lookback_s)
        self._pages = Pages(self._feed, SETTINGS, self._clock, Reads(self._clock))

    def places(self, shape: Shape, seed: str) -> list[Position]:
        """Return random rows to read on from, none so near the end that the page would be short."""
        margin = shape.limit * 2
        chosen = random.Random(seed).sample(range(margin, ROWS - margin), shape.times)
        sql = "SELECT epoch_us(ingest_time), delivery_key FROM records WHERE rowid = ?"
        return [Position(*self._connection.execute(sql, [row]).fetchall()[0]) for row in chosen]

    def ids(self, seed: str) -> list[str]:
        """Return random ids that are there."""
        chosen = random.Random(seed).sample(range(ROWS), LOOK_UPS)
        sql = "SELECT id FROM records WHERE rowid = ?"
        return [self._connection.execute(sql, [row]).fetchall()[0][0] for row in chosen]

    async def feed(self, shape: Shape, after: Position) -> list[Any]:
        """Read the page behind `after` as the service does."""
        cursor = Cursor(
            table=RECORDS.name,
            descending=shape.descending,
            since_us=self._window.since_us,
            until_us=self._window.until_us,
            after=after,
        )
        request = PageRequest(since_us=0, cursor=encode_cursor(cursor), limit=shape.limit)
        now = Now(self._window.until_us, self._window.until_us, self._window.until_us)
        return (await self._pages.page(request, _VIEW, now, lambda _: None)).rows

    async def number(self, shape: Shape, after: Position) -> list[Any]:
        """Read it with the shorter query, over the same slices."""
        since_us, until_us = self._window.since_us, self._window.until_us
        ahead = (since_us, after.ingest_us + 1) if shape.descending else (after.ingest_us, until_us)
        rows: list[Any] = []
        wanted = shape.limit + 1
        for part in feed_slices(
            Slice(*ahead),
            descending=shape.descending,
            first_us=EmbeddedStore.first_slice_us,
            longest_us=EmbeddedStore.longest_slice_us,
        ):
            parameters: dict[str, Scalar] = {
                "from_us": part.from_us,
                "to_us": part.to_us,
                "lookback_from_us": part.from_us - LOOKBACK_US,
                "lookback_micros": LOOKBACK_US,
                "row_limit": wanted - len(rows),
                "after_us": after.ingest_us,
                "after_key": after.delivery_key,
            }
            statement = Statement(sql=number_sql(descending=shape.descending), parameters=parameters)
            rows += (await self._store.read(statement)).rows
            if len(rows) == wanted:
                break
        return rows[: shape.limit]

    async def look_up(self, record_id: str) -> list[Any]:
        """Read the latest version of a record, in the window that the service looks in."""
        until_us = self._window.until_us
        window = Window(until_us - SETTINGS.store.retention_days * DAY_US, until_us)
        return await self._feed.versions(record_id, window, _VIEW, 1)

    async def scan(self, shape: Shape, after: Position) -> Read:
        """Have the store hand out as many rows of the page's range of stamps, in any order and just as they are."""
        page = [epoch_us(row["ingest_time"]) for row in await self.feed(shape, after)]
        sql = (
            "SELECT * FROM records WHERE ingest_time >= make_timestamp($first_us::BIGINT) "
            "AND ingest_time <= make_timestamp($last_us::BIGINT) LIMIT $limit"
        )
        parameters = {"first_us": min(page), "last_us": max(page), "limit": shape.limit}

        async def read() -> list[Any]:
            return self._connection.execute(sql, parameters).fetchall()

        return read
