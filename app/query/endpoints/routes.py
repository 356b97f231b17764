"""All query routes, over one store."""

from collections.abc import Callable
from functools import partial

from litestar.handlers import HTTPRouteHandler

from app.http import paths
from app.query.cache import Cache
from app.query.endpoints.answering import CachedResponder
from app.query.endpoints.pages import PageEndpoint, page_route
from app.query.endpoints.problems import problems_route
from app.query.endpoints.record import RecordEndpoint, record_routes
from app.query.endpoints.schema import schema_route
from app.query.endpoints.stats import StatsEndpoint, stats_route
from app.query.endpoints.tail import TailEndpoint, tail_route
from app.query.export import Exports
from app.query.feed import Feed
from app.query.pages import Pages
from app.query.reads import Reads
from app.query.stats import Stats
from app.query.tail.hub import Hub
from app.runtime.clock import Clock
from app.runtime.ledger import Ledger
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.source import QueryRunner
from app.telemetry.metrics import Metrics


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
