"""Wire the query side together, over the runner of one store."""

from collections.abc import Callable
from functools import partial

from litestar.handlers import HTTPRouteHandler
from litestar.stores.base import Store

from app.http import paths
from app.query.cache import Cache
from app.query.endpoints.answering import CachedResponder
from app.query.endpoints.pages import PageEndpoint, page_route
from app.query.endpoints.record import RecordEndpoint, record_routes
from app.query.endpoints.static_response import problems_route, schema_route
from app.query.endpoints.stats import StatsEndpoint, stats_route
from app.query.endpoints.tail import TailEndpoint, tail_route
from app.query.export import Exports
from app.query.feed import Feed
from app.query.instrumented_source import InstrumentedSource, SourceHealth
from app.query.pages import Pages
from app.query.reads import Reads
from app.query.stats import Stats
from app.query.tail.hub import Hub
from app.runtime.clock import Clock
from app.runtime.ledger import Ledger
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Eraser
from app.stores.source import QueryRunner
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing

_ENDING_S = 1.5


class QueryService:
    """Serves reads.

    `answers` is the store of cached responses, `cache_namespace` names the data, and `system` the store in traces.
    `ledger` accounts for the memory that responses hold.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of the whole query side
        self,
        *,
        records: Table,
        rejects: Table,
        runner: QueryRunner,
        eraser: Eraser,
        answers: Store,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        tracing: Tracing,
        cache_namespace: str,
        system: str,
        ledger: Ledger,
    ) -> None:
        self._records, self._rejects, self._settings = records, rejects, settings
        self._clock, self._metrics, self._cache_namespace = clock, metrics, cache_namespace
        self._ledger, self._eraser, self.answers = ledger, eraser, answers
        self.health = SourceHealth(clock.now_us)
        """The health of reads from the store."""
        self.runner = InstrumentedSource(runner, metrics, tracing, self.health, clock, system=system)
        self.reads = Reads(clock)

    def feed(self) -> Feed:
        """Return a feed of the records."""
        return Feed(self.runner, self._records, lookback_s=self._settings.query.dedupe_lookback_s)

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the query routes."""
        return query_routes(
            settings=self._settings,
            clock=self._clock,
            records=self._records,
            rejects=self._rejects,
            runner=self.runner,
            cache=Cache(self.answers, self._clock, max_entry_bytes=self._settings.query.cache_max_bytes // 8),
            metrics=self._metrics,
            cache_namespace=self._cache_namespace,
            reads=self.reads,
            ledger=self._ledger,
            erasures=lambda: self._eraser.generation,
        )

    async def drain(self, grace_s: float) -> None:
        """Wait for reads in progress, at most `grace_s` seconds minus the time to cancel a read.

        A cancelled read loses no record, and ingest needs its share of the grace.
        """
        await self.reads.drain(self.grace_s(grace_s))

    @staticmethod
    def grace_s(grace_s: float) -> float:
        """Return the part of the grace in which reads may continue."""
        return max(grace_s - _ENDING_S, 0.0)


def query_routes(  # noqa: PLR0913 - the dependencies of the whole query side
    *,
    settings: Settings,
    clock: Clock,
    records: Table,
    rejects: Table,
    runner: QueryRunner,
    cache: Cache,
    metrics: Metrics,
    cache_namespace: str,
    reads: Reads,
    ledger: Ledger,
    erasures: Callable[[], int],
) -> list[HTTPRouteHandler]:
    """Return the routes; those by id only if the record type names an id.

    `reads` is drained at shutdown. `ledger` accounts for the memory that responses hold. `erasures` returns a different
    number after each erasure.
    """
    limits, lookback_s = settings.query, settings.query.dedupe_lookback_s
    answering = CachedResponder(
        cache,
        reads,
        clock,
        metrics=metrics,
        cache_namespace=lambda: f"{cache_namespace} {lookback_s:g} {erasures()}",
    )
    feeds = {table.name: Feed(runner, table, lookback_s=lookback_s) for table in (records, rejects)}
    exports = Exports(runner, limits, clock, reads)
    pages_of = partial(Pages, settings=settings, clock=clock, reads=reads)
    record_pages, reject_pages = (pages_of(feeds[table.name]) for table in (records, rejects))
    stats_of = partial(Stats, runner, lookback_s=lookback_s)
    tail = TailEndpoint(record_pages, reads, limits, Hub(feeds[records.name], limits, clock, ledger, erasures))
    routes = [
        page_route(
            PageEndpoint(paths.RECORDS, record_pages, exports, answering, limits),
            name="listRecords",
            scope="read",
            summary="Read records",
            text="The records of a time window, each once, in the order of storage. Follow `next_cursor` to "
            "read the window, then `resume_cursor` for new records.",
        ),
        page_route(
            PageEndpoint(paths.REJECTS, reject_pages, exports, answering, limits),
            name="listRejects",
            scope="rejects",
            summary="Read rejected records",
            text="Records that could not be stored: the reason, the field, and the original bytes (base64). "
            "Paged like `/v1/records`.",
        ),
        stats_route(
            StatsEndpoint(f"{paths.RECORDS}/stats", stats_of(records), record_pages, answering, limits),
            name="readStats",
            scope="read",
            summary="Read statistics of records",
            text="Counts of the records of a time window in equal time buckets and, with `by`, for each value "
            "of a field; also averages, extremes and percentiles of numeric fields. As in `/v1/records`, "
            "copies are excluded; only settled records count. Every filter of `/v1/records` applies.",
        ),
        stats_route(
            StatsEndpoint(f"{paths.REJECTS}/stats", stats_of(rejects), reject_pages, answering, limits),
            name="readRejectStats",
            scope="rejects",
            summary="Read statistics of rejected records",
            text="Like `/v1/records/stats`, for records that could not be stored: `by=reason` counts each "
            "reason. The bytes of a large record are split over several rows; `part=0` counts each record "
            "once.",
        ),
        tail_route(tail),
        schema_route(records, rejects),
        problems_route(),
    ]
    if records.id is not None:
        routes += record_routes(RecordEndpoint(feeds[records.name], records.id, settings, clock), reads)
    return routes
