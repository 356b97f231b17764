"""A store of readings, with a number of every type, and the statistics of them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from app.query.read.feed import Feed
from app.query.request.filters import parse_filters
from app.query.request.scan import Now, queryable
from app.query.request.stats import parse_stats_request
from app.query.stats import BucketReader, statistics
from app.runtime.instants import SECOND_US, from_epoch_us
from app.schema.table import records_table
from tests.contract.shelf import envelope
from tests.contract.stores import Engine, Store
from tests.encoding import encoded
from tests.support.unwatched import environment_of

_Both = Meta(extra={"sluice": ["filter", "aggregate"]})


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a reading was taken."""

    floor: Annotated[int | None, _Both] = None


class Reading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record with a field of every type that statistics know."""

    name: Annotated[str | None, Meta(extra={"sluice": ["filter"]})] = None
    source: Annotated[str | None, _Both] = None
    number: Annotated[int | None, _Both] = None
    level: Annotated[float | None, _Both] = None
    price: Annotated[Decimal | None, _Both] = None
    valid: Annotated[bool | None, _Both] = None
    day: Annotated[date | None, _Both] = None
    at: Annotated[datetime | None, _Both] = None
    site: Site | None = None


READINGS = records_table(Reading)
SUBJECT = queryable(READINGS, 31)


class Row(NamedTuple):
    """A row to store: its stamp, its delivery, its record, and how long before it was published; None: over HTTP."""

    ingest_us: int
    key: str
    reading: Reading
    delay_us: int | None = None

    def envelope(self) -> dict[str, Any]:
        """Return the columns that the service adds."""
        published = None if self.delay_us is None else self.ingest_us - self.delay_us
        return envelope(self.key) | {"publish_time": published and from_epoch_us(published)}


class Readings:
    """A store of readings, and its statistics."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self.engine, self.store, self.clock = engine, store, store.clock
        self.feed = Feed(store.runner, READINGS, environment_of(self.clock))
        self.fixed: dict[str, str] = {}

    def now(self) -> Now:
        """Return when a request is answered that comes now."""
        now_us = self.clock.now_us()
        return Now(now_us, min(self.store.runner.horizon_us(READINGS.name), now_us), now_us + 1)

    def put(self, rows: Sequence[Row]) -> None:
        """Store `rows`, and let them settle."""
        appender = self.store.appender(READINGS)
        stamped = [(row.ingest_us, encoded(appender, row.reading, row.envelope())) for row in rows]
        self.engine.loop.run(self.store.put(READINGS, stamped))
        self.settle(max((row.ingest_us for row in rows), default=0) + 1)

    def settle(self, until_us: int) -> None:
        self.clock.advance_to(until_us + round(self.engine.settle_s * SECOND_US))

    def clear(self) -> None:
        self.engine.loop.run(self.store.clear())

    def ask(self, query: str) -> dict[str, Any]:
        """Return the statistics that the query string `query` asks for."""
        request = parse_stats_request(query, SUBJECT, self.now())
        fixed = parse_filters(SUBJECT.fields, self.fixed.items())
        request = msgspec.structs.replace(request, conditions=(*fixed, *request.conditions))
        body, _ = self.engine.loop.run(statistics(BucketReader(self.feed, lambda: "test"), request))
        found: dict[str, Any] = msgspec.json.decode(body)
        return found


def instant(year: int, month: int, day: int) -> datetime:
    """Return midnight in UTC."""
    return datetime(year, month, day, tzinfo=UTC)
