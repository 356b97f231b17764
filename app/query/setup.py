"""Wire the query side together, over the runner of one store."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.stores.base import Store

from app.auth.read_slots import ReadSlots
from app.http import paths
from app.http.contract import OF_ALL
from app.query.cache import Cache
from app.query.chunks.source import with_chunks
from app.query.endpoints.pages import PageEndpoint, page_contract, page_route
from app.query.endpoints.record import RecordEndpoint, record_contract, record_routes
from app.query.endpoints.responder import CachedResponder
from app.query.endpoints.served import Operation, Served, served_alone, served_per_stream
from app.query.endpoints.static_response import SCHEMA, SchemaEndpoint, problems_route, schema_contract, schema_route
from app.query.endpoints.stats import StatsEndpoint, stats_contract, stats_route
from app.query.endpoints.streams import stream_path, streams_route
from app.query.endpoints.tail import TailEndpoint, tail_contract, tail_route
from app.query.export import Exports
from app.query.feed import Feed
from app.query.instrumented_source import Charge, InstrumentedSource, SourceHealth
from app.query.pages import Pages
from app.query.reads import Reads
from app.query.stats import Stats
from app.query.tail.hub import Hub, TailLimits
from app.runtime.clock import Clock
from app.schema.columns import Kind
from app.schema.table import Table
from app.settings.load import Settings
from app.settings.query import QuerySettings
from app.stores.backend import Eraser
from app.stores.query import Condition
from app.stores.source import QueryRunner
from app.streams import Streams
from app.telemetry.metrics import Metrics
from app.telemetry.tracing import Tracing

_ENDING_S = 1.5


class QueryService:
    """Serves reads.

    `answers` is the store of cached responses, `cache_namespace` names the data, and `system` the store in traces.
    `slots` are those of the responses being sent. `charge` is told the bytes that each query was billed.
    """

    def __init__(  # noqa: PLR0913 - the dependencies of the whole query side
        self,
        *,
        streams: Streams,
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
        slots: ReadSlots,
        charge: Charge,
    ) -> None:
        self._streams, self._rejects, self._settings = streams, rejects, settings
        self._clock, self._metrics, self._cache_namespace = clock, metrics, cache_namespace
        self._slots, self._eraser, self.answers = slots, eraser, answers
        self.health = SourceHealth(clock.now_us)
        """The health of reads from the store."""
        instrumented = InstrumentedSource(runner, metrics, tracing, self.health, clock, system=system, charge=charge)
        tables = [*(stream.table for stream in streams.by_name.values()), rejects]
        self.runner = with_chunks(
            instrumented, tables, settings.query, clock, lambda: eraser.generation, metrics, answers, cache_namespace
        )
        self.reads = Reads(clock)

    def feed(self) -> Feed:
        """Return a feed of the records of the default stream."""
        return Feed(self.runner, self._streams.default.table, lookback_s=self._settings.query.dedupe_lookback_s)

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the query routes."""
        return query_routes(
            settings=self._settings,
            clock=self._clock,
            streams=self._streams,
            rejects=self._rejects,
            runner=self.runner,
            cache=Cache(self.answers, self._clock, max_entry_bytes=self._settings.query.cache_max_bytes // 8),
            metrics=self._metrics,
            cache_namespace=self._cache_namespace,
            reads=self.reads,
            erasures=lambda: self._eraser.generation,
        )

    async def drain(self, grace_s: float) -> None:
        """Wait until reads are answered, at most `grace_s` seconds minus the time to cancel one.

        A cancelled read loses no record, and ingest needs its share of the grace.
        """
        grace_s = max(grace_s - _ENDING_S, 0.0)
        await asyncio.gather(self.reads.drain(grace_s), self._slots.drain(grace_s))


class _StreamEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints of one stream; `record` is None where its records have no id."""

    records: PageEndpoint
    rejects: PageEndpoint
    stats: StatsEndpoint
    reject_stats: StatsEndpoint
    tail: TailEndpoint
    schema: SchemaEndpoint
    record: RecordEndpoint | None


class _Paths(NamedTuple):
    """Where the records and the rejects of a stream are read."""

    records: str
    rejects: str


def query_routes(  # noqa: PLR0913 - the dependencies of the whole query side
    *,
    settings: Settings,
    clock: Clock,
    streams: Streams,
    rejects: Table,
    runner: QueryRunner,
    cache: Cache,
    metrics: Metrics,
    cache_namespace: str,
    reads: Reads,
    erasures: Callable[[], int],
) -> list[HTTPRouteHandler]:
    """Return the routes: those of the default stream under `/v1`, and, if streams are named, those of every stream.

    `reads` is drained at shutdown. `erasures` returns a different number after each erasure.
    """
    limits, lookback_s = settings.query, settings.query.dedupe_lookback_s
    responder = CachedResponder(
        cache,
        reads,
        clock,
        metrics=metrics,
        cache_namespace=lambda: f"{cache_namespace} {lookback_s:g} {erasures()}",
    )
    exports, tail_limits = Exports(runner, limits, clock, reads), TailLimits(limits)
    reject_pages = Pages(Feed(runner, rejects, lookback_s=lookback_s), settings, clock, reads)

    def endpoints_of(table: Table, at: _Paths, only: tuple[Condition, ...]) -> _StreamEndpoints:
        """Return the endpoints of the stream of `table`; its rejects are those that meet `only`."""
        feed = Feed(runner, table, lookback_s=lookback_s)
        pages = Pages(feed, settings, clock, reads)
        stats_of = partial(Stats, runner, lookback_s=lookback_s)
        return _StreamEndpoints(
            records=PageEndpoint(at.records, pages, exports, responder, limits),
            rejects=PageEndpoint(at.rejects, reject_pages, exports, responder, limits, only),
            stats=StatsEndpoint(f"{at.records}/stats", stats_of(table), pages, responder, limits),
            reject_stats=StatsEndpoint(f"{at.rejects}/stats", stats_of(rejects), reject_pages, responder, limits, only),
            tail=TailEndpoint(pages, reads, limits, Hub(feed, limits, clock, erasures, tail_limits)),
            schema=SchemaEndpoint((table, at.records), (rejects, at.rejects), seen=metrics.seen_members),
            record=RecordEndpoint(feed, table.id, settings, clock) if table.id is not None else None,
        )

    default = endpoints_of(streams.default.table, _Paths(paths.RECORDS, paths.REJECTS), ())
    routes = [*_routes(_alone(default), reads, limits), problems_route()]
    if streams.are_named:
        by_name = {
            name: endpoints_of(stream.table, _Paths(*(stream_path(name, below) for below in _BELOW)), _only(name))
            for name, stream in streams.by_name.items()
        }
        routes += _routes(_per_stream(by_name), reads, limits)
        routes.append(streams_route(streams, settings.store.retention_days))
    return routes


_BELOW = ("/records", "/rejects")


def _only(stream: str) -> tuple[Condition, ...]:
    return (Condition("stream", (), "eq", Kind.STRING, (stream,)),)


class _ServedEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The same endpoints, and where they are served."""

    records: Served[PageEndpoint]
    rejects: Served[PageEndpoint]
    stats: Served[StatsEndpoint]
    reject_stats: Served[StatsEndpoint]
    tail: Served[TailEndpoint]
    schema: Served[SchemaEndpoint]
    record: Served[RecordEndpoint] | None


def _alone(one: _StreamEndpoints) -> _ServedEndpoints:
    return _ServedEndpoints(
        records=served_alone(paths.RECORDS, one.records, page_contract(one.records)),
        rejects=served_alone(paths.REJECTS, one.rejects, page_contract(one.rejects), OF_ALL),
        stats=served_alone(f"{paths.RECORDS}/stats", one.stats, stats_contract(one.stats)),
        reject_stats=served_alone(f"{paths.REJECTS}/stats", one.reject_stats, stats_contract(one.reject_stats), OF_ALL),
        tail=served_alone(f"{paths.RECORDS}/tail", one.tail, tail_contract(one.tail)),
        schema=served_alone(SCHEMA, one.schema, schema_contract(one.schema)),
        record=None if one.record is None else served_alone(paths.RECORDS, one.record, record_contract(one.record)),
    )


def _per_stream(by_name: Mapping[str, _StreamEndpoints]) -> _ServedEndpoints:
    with_ids = {name: each.record for name, each in by_name.items() if each.record is not None}
    return _ServedEndpoints(
        records=served_per_stream("/records", {name: each.records for name, each in by_name.items()}, page_contract),
        rejects=served_per_stream("/rejects", {name: each.rejects for name, each in by_name.items()}, page_contract),
        stats=served_per_stream("/records/stats", {name: each.stats for name, each in by_name.items()}, stats_contract),
        reject_stats=served_per_stream(
            "/rejects/stats", {name: each.reject_stats for name, each in by_name.items()}, stats_contract
        ),
        tail=served_per_stream("/records/tail", {name: each.tail for name, each in by_name.items()}, tail_contract),
        schema=served_per_stream("/schema", {name: each.schema for name, each in by_name.items()}, schema_contract),
        record=served_per_stream("/records", with_ids, record_contract) if with_ids else None,
    )


def _routes(served: _ServedEndpoints, reads: Reads, limits: QuerySettings) -> list[HTTPRouteHandler]:
    routes = [
        page_route(
            served.records,
            reads,
            Operation(
                name="listRecords",
                scope="read",
                summary="Read records",
                text="The records of a time window, each once, in the order of storage. Follow `next_cursor` to "
                "read the window, then `resume_cursor` for new records.",
            ),
        ),
        page_route(
            served.rejects,
            reads,
            Operation(
                name="listRejects",
                scope="rejects",
                summary="Read rejected records",
                text="Records that could not be stored: the reason, the field, and the original bytes (base64). "
                "Paged like `/v1/records`.",
            ),
        ),
        stats_route(
            served.stats,
            reads,
            Operation(
                name="readStats",
                scope="read",
                summary="Read statistics of records",
                text="Counts of the records of a time window in equal time buckets and, with `by`, for each value "
                "of a field; also averages, extremes and percentiles of numeric fields. As in `/v1/records`, "
                "copies are excluded; only settled records count. Every filter of `/v1/records` applies.",
            ),
        ),
        stats_route(
            served.reject_stats,
            reads,
            Operation(
                name="readRejectStats",
                scope="rejects",
                summary="Read statistics of rejected records",
                text="Like `/v1/records/stats`, for records that could not be stored: `by=reason` counts each "
                "reason. The bytes of a large record are split over several rows; `part=0` counts each record "
                "once.",
            ),
        ),
        tail_route(served.tail, limits.tail_max_s),
        schema_route(served.schema),
    ]
    if served.record is not None:
        routes += record_routes(served.record, reads)
    return routes
