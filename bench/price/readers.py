"""Readers of a table of any rate, in virtual time over the service's own code: pages, feed, window, look-ups."""

from collections import Counter
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import msgspec

from app.auth.grants import LOCAL_PRINCIPAL
from app.query.answer.cache import AnswerCache, open_store
from app.query.read.feed import Budget, Feed
from app.query.request.scan import Page, parse_scan, queryable
from app.query.stats import StatsEndpoint
from app.record import Record
from app.runtime.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, TimeRange, to_text
from app.schema.table import records_table
from app.settings.load import Settings
from app.stores.duckdb.table_layout import quote
from app.stores.source import QueryTooExpensiveError
from app.stores.window.database import Database, keys_of
from app.stores.window.loader import Loader
from app.stores.window.source import Window
from bench.price import prices
from sluice.testing.clock import FakeClock
from tests.support.billing.bill import Layout
from tests.support.billing.store import BilledStore
from tests.support.unwatched import environment_of

RECORDS = records_table(Record)
MONTH_S = 30 * 86_400
_SUBJECT = queryable(RECORDS, 31)
NOON_US = 1_767_268_800_000_000 + HOUR_US // 2  # half an hour into a partition: an average one
_LIMIT = 1_000
_OLD_US = 30 * DAY_US
_SECONDS = {1_000: 210, 10_000: 42, 100_000: 10}  # in which each horizon falls as often as it should


WINDOW_BYTES = {1_000: Settings().query.window_bytes, 10_000: 512 * 1024**2, 100_000: 512 * 1024**2}
"""SLUICE_WINDOW_BYTES at each rate."""


class Way(msgspec.Struct, frozen=True):
    """A way of reading: the table's layout, and how often readers poll."""

    layout: Layout
    poll_s: float = 5.0


class Price(msgspec.Struct, frozen=True):
    """What one reader pays: bytes billed a million records, dollars for them, and dollars a month; None: refused."""

    bytes_per_million: float | None = None
    dollars_per_million: float | None = None
    dollars_per_month: float | None = None


REFUSED = Price()


class Stage:
    """A table of `rows_per_s`, with what reads it, at half past noon."""

    def __init__(self, way: Way, rows_per_s: int, *, unlimited: bool = False) -> None:
        self.clock, self._rows_per_s = FakeClock(NOON_US), rows_per_s
        settings = Settings()
        limits = settings.query
        self.store = BilledStore(
            RECORDS,
            self.clock,
            way.layout,
            rows_per_s=rows_per_s,
            age_s=40 * 86_400,
            page_limit=1 << 62 if unlimited else limits.query_max_bytes_billed,
            look_up_limit=limits.look_up_max_bytes_billed,
            poll_s=way.poll_s,
        )
        self.lookback_us = round(limits.dedupe_lookback_s * SECOND_US)
        self.database = Database([RECORDS], WINDOW_BYTES[rows_per_s])
        self.loader = Loader(
            self.store, self.database, self.clock, lookback_us=self.lookback_us, erasures=lambda: 0, reads=Counter()
        )
        self.feed = Feed(Window(self.store, self.database, self.loader), RECORDS, environment_of(self.clock, settings))
        self.read = 0

    async def page(self, **asked: object) -> Page:
        """Return a page, as the API makes it."""
        await self.feed.learn_horizon()
        query = urlencode({"limit": _LIMIT, "heartbeat": "include"} | asked)
        scan = parse_scan(query, _SUBJECT, self.feed.now())
        page = await self.feed.page(scan, Budget(self.feed.environment))
        self.read += len(page.rows)
        return page

    async def follow(self, cursor: str) -> str:
        """Read what is new since `cursor`; return the cursor to go on from."""
        page = await self.page(cursor=cursor)
        while page.next_cursor is not None:
            page = await self.page(cursor=page.next_cursor)
        return page.resume_cursor

    async def head(self) -> str:
        """Return a cursor at the newest settled record."""
        horizon = to_text(self.feed.now().horizon_us)
        return (await self.page(since=horizon, until=horizon)).resume_cursor

    def warm(self) -> None:
        """Keep the keys of the look-back, if there is room, as if somebody had followed for so long."""
        table = self.loader.tables[RECORDS.name]
        if table.keys is None or (count := self._rows_per_s * self.lookback_us // SECOND_US) > self.loader.max_keys:
            return
        from_us, step_us = table.keys.from_us - self.lookback_us, SECOND_US // self._rows_per_s
        self.database._connection.execute(  # noqa: SLF001 - following for a look-back takes minutes
            f"INSERT INTO {quote(keys_of(RECORDS.name))} "  # noqa: S608 - a declared name
            "SELECT md5_number(concat('12345678901234567/', us, '/0')), make_timestamp(us) FROM range(?, ?, ?) t(us)",
            [from_us // step_us * step_us, table.keys.from_us, step_us],
        )
        table.keys, table.key_count = TimeRange(from_us, table.keys.to_us), table.key_count + count

    def price(self, seconds: float | None = None) -> Price:
        """Return what was paid for the records read since the beginning, in `seconds` of time if that says a month."""
        per_million = self.store.billed / max(self.read, 1) * 1e6
        dollars = prices.QUERIED_BYTE * self.store.billed
        return Price(
            per_million,
            prices.QUERIED_BYTE * per_million,
            None if seconds is None else dollars * MONTH_S / seconds,
        )


async def followers(way: Way, rows_per_s: int, count: int, *, warm: bool = True) -> Price:
    """Return what `count` followers of everything pay together, who each poll as often as `way` says.

    `warm`: the first has followed for so long that the keys of the look-back are in memory, if there is room.
    """
    stage = Stage(way, rows_per_s)
    first = await stage.head()
    if warm:
        first = await stage.follow(first)
        stage.warm()
    cursors = [first] * count
    seconds = next(each for most, each in _SECONDS.items() if rows_per_s <= most)
    stage.store.billed = stage.store.queries = stage.read = 0
    for step in range(round(seconds / way.poll_s * count)):
        await stage.clock.advance(way.poll_s / count)
        cursors[step % count] = await stage.follow(cursors[step % count])
    return stage.price(seconds)


async def dashboard(way: Way, rows_per_s: int) -> Price:
    """Return what one pays who looks at the hundred newest records of five minutes, every five seconds."""
    stage = Stage(way, rows_per_s)
    looks = 13
    for look in range(looks):
        if look == 1:
            stage.store.billed = 0
        await stage.clock.advance(5)
        await stage.page(since="-PT5M", order="desc", limit=100)
    return stage.price((looks - 1) * 5)


async def statistics(way: Way, rows_per_s: int) -> Price:
    """Return what one pays who looks at counts of the last hour every five seconds, half a minute a bucket."""
    stage = Stage(way, rows_per_s)
    feed = stage.feed
    cache = AnswerCache(feed.environment, open_store(feed.environment.settings.query, stage.clock), lambda: "")
    parts: Any = SimpleNamespace(path="/v1/records", feed=feed, subject=_SUBJECT, cache=cache)
    endpoint = StatsEndpoint(parts)
    request: Any = SimpleNamespace(method="GET", headers={}, scope={"query_string": b"", "state": {}})
    request.state = SimpleNamespace(principal=LOCAL_PRINCIPAL)
    for look in range(1 + 12 * 5):
        if look == 1:
            stage.store.billed = 0
        await stage.clock.advance(5)
        await endpoint.statistics(request)
    stage.read = rows_per_s * 5 * 60  # what was stored meanwhile
    return stage.price(5 * 60)


async def walk(way: Way, rows_per_s: int) -> Price:
    """Return what a walk of yesterday pays, by pages: of its first minute, or of fewer seconds where rows are dense."""
    stage = Stage(way, rows_per_s)
    since_us = NOON_US - DAY_US
    seconds = {1_000: 60, 10_000: 5}.get(rows_per_s, 1)
    page = await stage.page(since=to_text(since_us), until=to_text(since_us + DAY_US))
    while stage.read < rows_per_s * seconds and page.next_cursor is not None:
        page = await stage.page(cursor=page.next_cursor)
    return stage.price()


async def export(way: Way, rows_per_s: int) -> Price:
    """Return what the export of an hour pays."""
    stage = Stage(way, rows_per_s, unlimited=True)
    hour_us = NOON_US // HOUR_US * HOUR_US - DAY_US
    query = stage.store.export(hour_us, hour_us + HOUR_US, stage.lookback_us)
    stage.store.billed, stage.read = stage.store.bill_of(query), rows_per_s * 3_600
    return stage.price(3_600)


async def look_up(way: Way, rows_per_s: int, at_us: int) -> Price:
    """Return what one look-up of the record stamped `at_us` pays, in the first two figures a million of them."""
    stage = Stage(way, rows_per_s)
    step_us = SECOND_US // rows_per_s
    window = TimeRange(NOON_US - 31 * DAY_US, NOON_US)
    try:
        found = await stage.feed.versions(f"order-{at_us // step_us * step_us}", window, (), 1)
    except QueryTooExpensiveError:
        return REFUSED
    stage.read = max(len(found), 1)
    return stage.price()


def _clustered(way: Way, fresh_s: float) -> Way:
    return msgspec.structs.replace(way, layout=msgspec.structs.replace(way.layout, fresh_s=fresh_s))


YOUNG_US, OLD_US, ABSENT_US = NOON_US - MINUTE_US, NOON_US - _OLD_US, NOON_US - 400 * DAY_US
READERS: dict[str, Callable[[Way, int], Awaitable[Price]]] = {
    "a follower, by pages": lambda way, rate: followers(way, rate, 1),
    "a follower's first minute": lambda way, rate: followers(way, rate, 1, warm=False),
    "ten followers": lambda way, rate: followers(way, rate, 10),
    "a follower, rows clustered within 10 s": lambda way, rate: followers(_clustered(way, 10), rate, 1),
    "a follower, within five minutes": lambda way, rate: followers(_clustered(way, 300), rate, 1),
    "a dashboard, every 5 s": dashboard,
    "statistics of an hour, every 5 s": statistics,
    "a walk of a day": walk,
    "an export of each hour": export,
    "an id of a minute ago": lambda way, rate: look_up(way, rate, YOUNG_US),
    "an id of a month ago": lambda way, rate: look_up(way, rate, OLD_US),
    "an id that is not there": lambda way, rate: look_up(way, rate, ABSENT_US),
}


async def price_of(reader: str, way: Way, rows_per_s: int) -> Price:
    """Return what a reader pays; REFUSED if the store would not run its query."""
    try:
        return await READERS[reader](way, rows_per_s)
    except QueryTooExpensiveError:
        return REFUSED
