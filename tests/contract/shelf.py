"""A store of the default record, its feed, and a plain model of what reading it must give."""

from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from app.query.feed import Feed, Page
from app.clock import epoch_us
from app.query.instants import SECOND_US
from app.query.params.page import PageRequest, Window
from app.record import Record
from tests.contract.stores import RECORDS, Engine, Store

LOOKBACK_S = 900.0
LOOKBACK_US = 900 * SECOND_US
_Result = TypeVar("_Result")


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
        self.feed = self.make_feed(max_window_days=31)

    def make_feed(self, max_window_days: int) -> Feed:
        """Return the store's feed."""
        return Feed(self.store.runner, RECORDS, lookback_s=LOOKBACK_S, max_window_days=max_window_days)

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run `work` to its end."""
        return self.engine.loop.run(work)

    def put(self, puts: Iterable[Put]) -> None:
        """Store each row with its own stamp, whatever the clock says."""
        puts = list(puts)
        self.puts += puts
        self.run(self.store.put(RECORDS, [(put.ingest_us, self.encoded(put)) for put in puts]))

    def encoded(self, put: Put) -> bytes:
        """Return the row of `put`, without its stamp."""
        record = Record(id=put.id, timestamp=datetime(2026, 1, 1, tzinfo=UTC))
        return self.store.appender(RECORDS).encode(record, envelope(put.key))

    def clear(self) -> None:
        """Remove every row and set the clock back."""
        self.puts = []
        self.run(self.store.clear())

    def page(self, horizon_us: int | None = None, **asked: Any) -> Page:
        """Read one page, as far as the store is settled: by the clock, unless `horizon_us` is given."""
        asked = {"window": Window(0, 0), "cursor": None, "descending": None, "limit": 100, "format": None} | asked
        return self.run(self.feed.page(PageRequest(**asked), horizon_us or self.clock.now_us()))

    def walk(self, page: Page, limit: int) -> list[Page]:
        """Follow `next_cursor` from `page` to the end of the window."""
        pages = [page]
        while pages[-1].next_cursor is not None:
            pages.append(self.page(cursor=pages[-1].next_cursor, limit=limit))
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
