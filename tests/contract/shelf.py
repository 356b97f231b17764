"""A store of the default record, its feed, and a plain model of what reading it must give."""

from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from app.query.read.feed import Budget, Feed
from app.query.request.filters import fingerprint, parse_filters
from app.query.request.scan import Now, Page, Scan, continued
from app.record import Record
from app.runtime.instants import DAY_US, MAX_US, SECOND_US, TimeRange, epoch_us
from app.schema.filters import filter_table
from app.settings.load import Settings
from app.stores.query import Condition
from app.stores.source import QueryRunner
from tests.contract.stores import RECORDS, Engine, Store
from tests.encoding import encoded
from tests.support.unwatched import environment_of

LOOKBACK_US = 900 * SECOND_US
FIELDS = filter_table(RECORDS)
_Result = TypeVar("_Result")


def start(
    now: Now,
    *,
    since_us: int = 0,
    until_us: int | None = None,
    cursor: str | None = None,
    descending: bool | None = None,
    conditions: tuple[Condition, ...] = (),
    max_window_us: int = 31 * DAY_US,
    is_fixed: bool = False,
    **asked: Any,
) -> Scan:
    """Return the scan of the records that a request with these parameters asks for."""
    scan = Scan(
        table="records",
        window=TimeRange(since_us, since_us),
        horizon_us=now.horizon_us,
        columns=RECORDS.columns,
        conditions=conditions,
        fingerprint=fingerprint(conditions),
        descending=bool(descending),
        last_us=min(MAX_US if until_us is None else until_us, since_us + max_window_us),
        fixed_until_us=until_us if is_fixed else None,
    )
    if cursor is not None:
        order = None if descending is None else "named"
        scan = continued(scan, cursor, order, max_window_us)
    return msgspec.structs.replace(scan, **asked).at(now)


class Put(NamedTuple):
    """A row to store: its stamp, its delivery and its record's id."""

    ingest_us: int
    key: str
    id: str = "x"


def originals(puts: Iterable[Put]) -> list[Put]:
    """Return, in the order of the feed, the rows that no row of their delivery precedes within the look-back."""
    rows = sorted(puts, key=lambda put: (put.ingest_us, put.key))
    kept = []
    for number, row in enumerate(rows):
        earlier = [other for other in rows[:number] if other.key == row.key]
        if not any(row.ingest_us - LOOKBACK_US <= other.ingest_us <= row.ingest_us for other in earlier):
            kept.append(row)
    return kept


def in_window(puts: Iterable[Put], since_us: int, until_us: int) -> list[tuple[int, str]]:
    """Return what the feed must give of a window, in ascending order."""
    return [(put.ingest_us, put.key) for put in originals(puts) if since_us <= put.ingest_us < until_us]


class Shelf:
    """A store of the default record, and its feed as far as the test says that it is settled."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine, self.store, self.clock = engine, store, store.clock
        self.puts: list[Put] = []
        self.feed = self.make_feed()

    def make_feed(self, runner: QueryRunner | None = None, **settings: Any) -> Feed:
        """Return what reads the store's pages, under settings of its own; `runner` may stand before the store's."""
        environment = environment_of(self.clock, Settings().replace(**settings))
        return Feed(runner or self.store.runner, RECORDS, environment)

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self.engine.loop.run(work)

    def put(self, puts: Iterable[Put]) -> None:
        """Store each row with its own stamp, whatever the clock says."""
        puts = list(puts)
        self.puts += puts
        self.run(self.store.put(RECORDS, [(put.ingest_us, self.encoded(put)) for put in puts]))

    def encoded(self, put: Put) -> bytes:
        """Return the row of `put`, without its stamp."""
        record = Record(id=put.id, timestamp=datetime(2026, 1, 1, tzinfo=UTC))
        return encoded(self.store.appender(RECORDS), record, envelope(put.key))

    def clear(self) -> None:
        """Remove every row and set the clock back."""
        self.puts = []
        self.run(self.store.clear())

    def now(self, horizon_us: int | None = None) -> Now:
        """Return the moment of a request: settled is what is before `horizon_us`, by default everything there is."""
        settled_us = horizon_us or self.clock.now_us()
        return Now(self.clock.now_us(), settled_us, max(settled_us, self.clock.now_us()) + 2 * SECOND_US)

    def page(
        self,
        *,
        window: TimeRange | None = None,
        now: Now | None = None,
        horizon_us: int | None = None,
        filters: Iterable[tuple[str, str]] = (),
        fixed: Iterable[tuple[str, str]] = (),
        feed: Feed | None = None,
        **asked: Any,
    ) -> Page:
        """Read one page, as far as the store is settled: by the clock, unless `horizon_us` or `now` is given."""
        feed = feed or self.feed
        if window is not None:
            asked |= {"since_us": window.from_us, "until_us": window.to_us}
        own = parse_filters(FIELDS, filters)
        longest_us = feed.environment.settings.query.max_window_days * DAY_US
        scan = start(now or self.now(horizon_us), conditions=own, max_window_us=longest_us, **asked)
        scan = msgspec.structs.replace(scan, conditions=(*own, *parse_filters(FIELDS, fixed)))
        budget = Budget(feed.environment)

        async def read() -> Page:
            page = await feed.page(scan, budget)
            return msgspec.structs.replace(page, count=await feed.count(scan, budget))

        return self.run(read())

    def scan(self, page: Page, limit: int, **asked: Any) -> list[Page]:
        """Follow `next_cursor` from `page` to the end of the window."""
        pages = [page]
        while pages[-1].next_cursor is not None:
            pages.append(self.page(cursor=pages[-1].next_cursor, limit=limit, **asked))
        return pages


def envelope(key: str) -> dict[str, Any]:
    """Return the envelope columns of a row sent over HTTP."""
    return {
        "subscription_name": None,
        "message_id": None,
        "publish_time": None,
        "attributes": {},
        "ordering_key": None,
        "message_index": 0,
        "delivery_key": key,
        "trace_id": None,
    }


def places(*pages: Page) -> list[tuple[int, str]]:
    """Return the stamps and keys of the pages' rows."""
    return [(epoch_us(row["ingest_time"]), row["delivery_key"]) for page in pages for row in page.rows]
