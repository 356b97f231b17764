"""The composition root: settings in, application out."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from litestar import Router

from app.asgi import Sluice, lifespan
from app.auth.key_set import Fetch
from app.auth.rate_limit import add_rate_limit_headers
from app.auth.setup import AuthService
from app.erase.endpoint import erasure_routes
from app.health.gauges import watch_gauges
from app.health.heartbeat import Heartbeats
from app.health.probes import About, Health, health_routes
from app.http.cors import cors_config, keep_vary
from app.http.outgoing import Outgoing
from app.http.problems import EXCEPTION_HANDLERS
from app.http.unread import UnreadBodies
from app.ingest.push import push_route
from app.ingest.setup import IngestService
from app.openapi.document import document_route, openapi_config
from app.openapi.page import reference_routes
from app.page.routes import page_routes
from app.query.answer_store import open_store
from app.query.params.filters import parse_filters
from app.query.setup import QueryService
from app.record import load_record_type
from app.runtime.clock import Clock, SystemClock
from app.runtime.memory import trim_when_idle, trimmer
from app.schema.filters import checked_table, filter_table
from app.schema.table import Table, rejects_table
from app.settings.load import Settings
from app.stores.registry import open_backend
from app.stores.sink import Appender
from app.telemetry.metrics import Metrics
from app.telemetry.providers import Telemetry
from app.telemetry.requests import Requests


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    fetch_keys: Fetch | None = None,
    wrap_appender: Callable[[Table, Appender], Appender] = lambda _, appender: appender,
) -> Sluice:
    """Build the application over the store that `settings` name; tests replace the outside world by keyword.

    Raises:
        RecordTypeError: the record type cannot be stored.
        StoreError: the store cannot be opened, or does not fit the record type.
        SettingsError: the grants are wrong, or a package that a setting needs is missing.
    """
    records, rejects = checked_table(load_record_type(settings.store.record)), rejects_table()
    clock = clock or SystemClock()
    gate = AuthService(settings, partial(parse_filters, filter_table(records)), clock, fetch_keys)
    answers = open_store(settings.query.cache_url, settings.query.cache_max_bytes, clock)
    metrics = Metrics()
    telemetry = Telemetry(settings, metrics, clock)
    backend = open_backend(settings, (records, rejects), clock)
    ingests, queries = "ingest" in settings.server.roles, "query" in settings.server.roles

    outgoing = Outgoing(settings.server, clock)
    query_service = QueryService(
        records=records,
        rejects=rejects,
        runner=backend.runner,
        eraser=backend.eraser,
        settings=settings,
        clock=clock,
        metrics=metrics,
        tracing=telemetry.tracing,
        cache_namespace=backend.name,
        system=backend.system,
        ledger=outgoing.answers,
    )
    heartbeats = Heartbeats(query_service.feed(), settings, clock, metrics)
    ingest_service = IngestService(
        records=records,
        rejects=rejects,
        appenders={table.name: wrap_appender(table, backend.appenders[table.name]) for table in (records, rejects)},
        verifier=gate.push,
        settings=settings,
        clock=clock,
        metrics=metrics,
        tracing=telemetry.tracing,
        system=backend.system,
        on_heartbeat=heartbeats.stored if queries else None,
    )
    sinks = ingest_service.sinks if ingests else {}
    health = Health(
        about=About(system=settings.telemetry.system, instance=telemetry.instance, store=settings.store.backend),
        admission=ingest_service.admission,
        keys=gate,
        sinks=sinks,
        reads=query_service.health if queries else None,
        connections=backend.connections,
        metrics=metrics,
        clock=clock,
    )
    watch_gauges(metrics, ingest_service.admission, sinks, backend.connections)

    def background() -> list[Coroutine[Any, Any, None]]:
        upkeep = backend.upkeep(metrics.expired)
        if not ingests:
            return upkeep
        admission = ingest_service.admission
        quiet = trim_when_idle(lambda: admission.messages, lambda: admission.admitted, clock, trimmer())
        return [*ingest_service.background(), quiet, *upkeep, *([heartbeats.run()] if queries else [])]

    guarded: list[Any] = telemetry.routes()
    guarded += ingest_service.routes() if ingests else []
    if queries:
        guarded += query_service.routes(answers)
        guarded += erasure_routes(
            runner=query_service.runner,
            eraser=backend.eraser,
            records=records,
            rejects=rejects,
            clock=clock,
            reads=query_service.reads,
        )
    app = Sluice(
        route_handlers=[
            *health_routes(health, gate.identify),
            document_route(records),
            *reference_routes(),
            *page_routes(settings, records),
            *([push_route(ingest_service.push)] if ingests else []),
            Router("/", route_handlers=guarded, guards=[gate.guard]),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[add_rate_limit_headers, *([keep_vary] if settings.auth.cors_origins else [])],
        cors_config=cors_config(settings.auth.cors_origins),
        # The first to start is the last to stop.
        lifespan=[
            answers,
            telemetry.lifespan,
            gate.lifespan,
            lifespan(background, backend, settings.server.shutdown_grace_s),
        ],
        logging_config=None,  # the service configures its own (telemetry.configure_logging); tests have none
        openapi_config=openapi_config(),
        request_max_body_size=settings.server.max_body_bytes,
    )
    app.instance, app.ingests, app.ingest_service, app.query_service = (
        telemetry.instance,
        ingests,
        ingest_service,
        query_service,
    )
    app.metrics, app.requests = metrics, Requests(metrics, telemetry.tracing, clock)
    app.outgoing, app.unread = outgoing, UnreadBodies(clock, settings.server.max_body_bytes)
    app.clients = set()
    return app
