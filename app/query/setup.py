"""Wire the query side together, over the runner of one store."""

import asyncio
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from app.auth.read_slots import ReadSlots
from app.auth.setup import AuthService
from app.environment import Environment
from app.http import paths
from app.http.endpoint import EndpointSpec, Serving, routes_of
from app.query.answer.cache import AnswerCache, open_store
from app.query.answer.export import Exports
from app.query.answer.page import RECORD_PAGES, REJECT_PAGES
from app.query.answer.readers import readers_route
from app.query.answer.record import ONE_RECORD, ONE_RECORD_WITH_SLASHES
from app.query.answer.schema import SCHEMA, problems_route, streams_route
from app.query.answer.state import STATE
from app.query.answer.tail import MOST_READS, TAIL
from app.query.erase import ERASE, ERASURE_PAGES
from app.query.parts import SharedParts, StreamParts, TableParts
from app.query.read.feed import Feed
from app.query.read.instrumented_source import InstrumentedSource, SourceHealth
from app.query.read.reads import Reads
from app.query.readers import Readers
from app.query.request.scan import queryable
from app.query.stats import RECORD_STATS, REJECT_STATS
from app.schema.columns import Kind
from app.schema.table import Table
from app.stores.backend import Backend
from app.stores.erasures import served_table
from app.stores.query import Condition
from app.stores.source import QueryRunner
from app.streams import Streams

ENDPOINTS: tuple[EndpointSpec[StreamParts, Any], ...] = (
    *(RECORD_PAGES, REJECT_PAGES, STATE, RECORD_STATS, REJECT_STATS, TAIL, SCHEMA),
    *(ONE_RECORD, ONE_RECORD_WITH_SLASHES, *ERASE, ERASURE_PAGES),
)
"""The endpoints that each stream has."""
_ENDING_S = 1.5


class QueryService:
    """Serves reads of what `backend` stores; `auth` has the slots of responses, and counts what queries are billed."""

    def __init__(self, environment: Environment, streams: Streams, backend: Backend, auth: AuthService) -> None:
        self._environment, self._streams, self._backend, self._slots = environment, streams, backend, auth.slots
        self.answers = open_store(environment.settings.query, environment.clock)
        """The store of cached responses."""
        self.health = SourceHealth(environment.clock.now_us)
        """The health of reads from the store."""
        instrumented = InstrumentedSource(
            backend.runner, environment, self.health, system=backend.system, charge=auth.budget.charge
        )
        self.runner = backend.reader(instrumented, environment.metrics.window_reads)
        self.reads = Reads(environment.clock)
        self.readers = Readers(environment, self.runner, streams, auth.shared)

    def feed(self) -> Feed:
        """Return a feed of the records of the default stream."""
        return Feed(self.runner, self._streams.default.table, self._environment)

    def routes(self) -> list[HTTPRouteHandler]:
        """Return the query routes."""
        environment, backend = self._environment, self._backend
        cache = AnswerCache(
            environment,
            self.answers,
            lambda: f"{backend.name} {environment.lookback_us} {backend.eraser.generation}",
        )
        shared = SharedParts(cache=cache, reads=self.reads, eraser=backend.eraser, readers=self.readers)
        return query_routes(self._streams, self.runner, shared)

    async def drain(self, grace_s: float) -> None:
        """Wait until reads are answered, at most `grace_s` seconds minus the time to cancel one.

        A cancelled read loses no record, and ingest needs its share of the grace.
        """
        grace_s = max(grace_s - _ENDING_S, 0.0)
        await asyncio.gather(self.reads.drain(grace_s), self._slots.drain(grace_s))


def query_routes(streams: Streams, runner: QueryRunner, shared: SharedParts) -> list[HTTPRouteHandler]:
    """Return the routes: those of the default stream under `/v1`, and, if streams are named, those of every stream."""
    environment, limits = shared.cache.environment, shared.cache.environment.settings.query
    rejects = TableParts(
        path=paths.REJECTS,
        feed=Feed(runner, streams.rejects, environment),
        subject=queryable(streams.rejects, limits.max_window_days),
        exports=Exports(environment, shared.reads),
        tail_slots=ReadSlots(limits.max_tails, environment.clock, patience_s=0, noun="tails"),
        tail_turn=asyncio.Semaphore(MOST_READS),
        **msgspec.structs.asdict(shared),
    )

    def records(table: Table, path: str) -> TableParts:
        subject = queryable(table, limits.max_window_days)
        return msgspec.structs.replace(rejects, path=path, feed=Feed(runner, table, environment), subject=subject)

    def erasures(stream: str, path: str) -> TableParts:
        table = served_table()
        known = queryable(table, limits.max_window_days, is_of(stream))
        subject = msgspec.structs.replace(known, fields={}, has_canaries=False)
        return msgspec.structs.replace(rejects, path=path, feed=Feed(runner, table, environment), subject=subject)

    by_name = {}
    for name, stream in streams.by_name.items() if streams.are_named else ():
        root, subject = f"{paths.STREAMS}/{name}", queryable(streams.rejects, limits.max_window_days, is_of(name))
        own = msgspec.structs.replace(rejects, path=f"{root}/rejects", subject=subject)
        by_name[name] = StreamParts(records(stream.table, f"{root}/records"), own, erasures(name, f"{root}/erasures"))
    table, serving = streams.default.table, Serving(shared.reads.run, limits)
    default = StreamParts(records(table, paths.RECORDS), rejects, erasures(table.name, paths.ERASURES))
    # A mirror has no rejects: an empty feed would take a follower past those of its source.
    endpoints = [each for each in ENDPOINTS if not (runner.profile.lags and each in (REJECT_PAGES, REJECT_STATS))]
    routes = [problems_route(), readers_route(shared.readers), *routes_of(endpoints, default, by_name, serving)]
    return [*routes, streams_route(streams, environment.settings.store.retention_days)] if by_name else routes


def is_of(stream: str) -> tuple[Condition, ...]:
    """Return the condition of the rows of a stream, in a table of all streams."""
    return (Condition("stream", (), "eq", Kind.STRING, (stream,)),)
