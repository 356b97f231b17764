"""The composition root: settings in, application out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from litestar import Litestar, Router

from app import paths
from app.access.cors import cors_config, keep_vary
from app.access.gate import Gate
from app.access.rate_limit import tell_standing
from app.backend import Backend, open_backend
from app.clock import Clock, SystemClock
from app.errors import EXCEPTION_HANDLERS
from app.gauges import watch_gauges
from app.health import About, Health, health_routes
from app.heartbeat import Heartbeats
from app.ingest.admission import Admission
from app.ingest.append_watch import AppendWatch
from app.ingest.appender import Appender
from app.ingest.intake import Intake
from app.ingest.pipeline import Pipeline
from app.ingest.push import PushEndpoint, push_route
from app.ingest.submit import Submission, submit_routes
from app.keys import Fetch
from app.page.routes import page_routes
from app.query.answer_store import open_store
from app.query.cache import Cache
from app.query.endpoints.routes import query_routes
from app.query.feed import Feed
from app.query.observed import ObservedRunner, QueryWatch
from app.query.params.filters import parse_filters
from app.query.reads import Reads
from app.query.standing import ReadStanding
from app.record import load_record_type
from app.reference.document import document_route, openapi_config
from app.reference.page import reference_routes
from app.schema.filters import filter_table
from app.schema.table import Table, records_table, rejects_table
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.telemetry.providers import Telemetry
from app.telemetry.requests import Requests

_ENDING_READS_S = 1.5


class Sluice(Litestar):
    """The application. Pushes take the short way past the framework's layers to the same endpoint."""

    push: PushEndpoint | None = None
    admission: Admission
    pipeline: Pipeline
    reads: Reads
    requests: Requests
    instance: str

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
        elif scope["path"] == paths.PUSH and scope["method"] == "POST" and self.push:
            await self.push(scope, receive, send)
        else:
            await self.requests.answer(super().__call__, scope, receive, send)

    async def drain(self, grace_s: float) -> None:
        """Admit nothing more, and wait until messages and reads are answered: at most `grace_s` seconds."""
        self.admission.draining = True
        # Reads that have to be ended take a moment more, and nobody loses a record by them.
        await asyncio.gather(self.pipeline.drain(grace_s), self.reads.drain(max(grace_s - _ENDING_READS_S, 0.0)))


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    fetch_keys: Fetch | None = None,
    wrap_appender: Callable[[Table, Appender], Appender] = lambda _, appender: appender,
) -> Sluice:
    """Build the application over the store that `settings` name; the keywords let a test stand in for the outside.

    Raises:
        RecordTypeError: the record type cannot be stored.
        StoreError: the store cannot be opened, or does not fit the record type.
        SettingsError: the grants are wrong, or a package that a setting needs is missing.
    """
    table, rejects = records_table(load_record_type(settings.record)), rejects_table()
    fields = filter_table(table)  # refuses roles that cannot be played
    clock = clock or SystemClock()
    gate = Gate(settings, partial(parse_filters, fields), clock, fetch_keys)
    answers = open_store(settings.cache_url, settings.cache_max_bytes, clock)
    metrics = Metrics()
    telemetry = Telemetry(settings, metrics, clock)

    backend = open_backend(settings, (table, rejects), clock)
    ingests, queries = "ingest" in settings.roles, "query" in settings.roles
    read_standing = ReadStanding(clock.now_us)
    watch_queries = QueryWatch(metrics, telemetry.tracing, read_standing, clock, system=backend.system)
    runner = ObservedRunner(backend.runner, watch_queries)
    heartbeats = Heartbeats(Feed(runner, table, lookback_s=settings.dedupe_lookback_s), settings, clock, metrics)
    admission = Admission(max_messages=settings.max_in_flight_messages, max_bytes=settings.max_in_flight_bytes)
    pipeline = Pipeline(
        table=table,
        records=wrap_appender(table, backend.appenders[table.name]),
        rejects=wrap_appender(rejects, backend.appenders[rejects.name]),
        settings=settings,
        clock=clock,
        metrics=metrics,
        watch_appends=AppendWatch(metrics, telemetry.tracing, clock, system=backend.system),
        on_heartbeat=heartbeats.stored if queries else None,
    )
    intake = Intake(admission, max_body_bytes=settings.max_body_bytes, read_deadline_s=settings.request_budget_s)
    push = PushEndpoint(
        verifier=gate.push,
        intake=intake,
        pipeline=pipeline,
        metrics=metrics,
        tracing=telemetry.tracing,
        clock=clock,
    )
    submission = Submission(
        table=table, intake=intake, pipeline=pipeline, max_decompressed_bytes=settings.max_decompressed_bytes
    )
    reads = Reads(clock)
    sinks = {table.name: pipeline.records, rejects.name: pipeline.rejects} if ingests else {}
    health = Health(
        about=About(system=settings.system, instance=telemetry.instance, store=settings.backend),
        admission=admission,
        keys=gate.keys,
        sinks=sinks,
        reads=read_standing if queries else None,
        connections=backend.connections,
        metrics=metrics,
        clock=clock,
    )
    watch_gauges(metrics, admission, sinks, backend.connections)
    api: list[Any] = telemetry.routes()
    api += submit_routes(submission, by_id=table.id is not None) if ingests else []
    if queries:
        api += query_routes(
            settings=settings,
            clock=clock,
            records=table,
            rejects=rejects,
            runner=runner,
            cache=Cache(answers, clock, max_entry_bytes=settings.cache_max_bytes // 8),
            metrics=metrics,
            realm=backend.name,
            reads=reads,
        )

    def background() -> list[Coroutine[Any, Any, None]]:
        return [*pipeline.watches(), *([heartbeats.run()] if queries else [])] if ingests else []

    app = Sluice(
        route_handlers=[
            *health_routes(health, gate.identify),
            document_route(table),
            *reference_routes(),
            *page_routes(settings, table),
            *([push_route(push)] if ingests else []),
            Router("/", route_handlers=api, guards=[gate.guard]),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[tell_standing, *([keep_vary] if settings.cors_origins else [])],
        cors_config=cors_config(settings.cors_origins),
        # The first to begin is the last to end.
        lifespan=[
            answers,
            telemetry.lifespan,
            gate.lifespan,
            _lifespan(background, backend, settings),
        ],
        logging_config=None,  # the service's own (telemetry.configure_logging), and none at all in tests
        openapi_config=openapi_config(),
        request_max_body_size=settings.max_body_bytes,
    )
    app.push, app.admission, app.pipeline, app.reads = push if ingests else None, admission, pipeline, reads
    app.instance = telemetry.instance
    app.requests = Requests(metrics, telemetry.tracing, clock)
    return app


def _lifespan(
    background: Callable[[], list[Coroutine[Any, Any, None]]], backend: Backend, settings: Settings
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(work) for work in background()]
        try:
            yield
        finally:
            if isinstance(app, Sluice):
                await app.drain(settings.shutdown_grace_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await backend.close()

    return lifespan
