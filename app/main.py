"""The composition root: settings in, application out."""

from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from app.asgi import Instance, Sluice, lifespan
from app.auth.key_set import Fetch
from app.auth.limits import add_rate_limit_headers
from app.auth.setup import AuthService
from app.environment import Environment
from app.health.canary import CanaryWatch
from app.health.probes import Health, health_routes
from app.http.bodies import UnreadBodies
from app.http.headers import add_lag, cors_config, keep_vary
from app.http.problems import EXCEPTION_HANDLERS
from app.ingest.push import push_route
from app.ingest.setup import IngestService
from app.openapi.document import document_route, reference_routes
from app.page.routes import page_routes
from app.query.request.filters import filter_check
from app.query.setup import QueryService
from app.runtime.clock import Clock, SystemClock
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Backend, open_backend
from app.stores.sink import Appender
from app.streams import Streams, load_streams
from app.telemetry import instruments
from app.telemetry.metrics import Metrics
from app.telemetry.providers import Telemetry
from app.telemetry.requests import Requests

WrapAppender = Callable[[Table, Appender], Appender]


def create_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    fetch_keys: Fetch | None = None,
    wrap_appender: WrapAppender = lambda _, appender: appender,
) -> Sluice:
    """Build what the roles need over the store that `settings` name; tests replace the outside world by keyword.

    Raises:
        RecordTypeError: a record type cannot be stored, or the streams are wrong.
        StoreError: the store cannot be opened, or does not fit the record type.
        SettingsError: the grants are wrong, or a package that a setting needs is missing.
    """
    base, roles = _base(settings, clock or SystemClock(), fetch_keys), settings.server.roles
    query = QueryService(base.environment, base.streams, base.backend, base.auth) if "query" in roles else None
    canaries = CanaryWatch(query.feed(), base.environment) if query and "ingest" in roles else None
    ingest = _ingest(base, wrap_appender, canaries) if "ingest" in roles else None
    instance = Instance(
        name=base.telemetry.instance,
        ingest=ingest,
        query=query,
        health=_health(base, ingest, query),
        metrics=base.environment.metrics,
        requests=Requests(base.environment.metrics, base.environment.tracing, base.environment.clock),
        unread=UnreadBodies(2 * settings.server.max_body_bytes),
    )
    background = partial(_background, base, ingest, query, canaries)
    litestar = _Litestar(
        route_handlers=_routes(base, instance),
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[
            add_rate_limit_headers,
            *([keep_vary] if settings.auth.cors_origins else []),
            *([add_lag(base.backend.lag_s)] if base.backend.lag_s is not None else []),
        ],
        cors_config=cors_config(settings.auth.cors_origins),
        # The first to start is the last to stop.
        lifespan=[
            *([aclosing(query.answers)] if query is not None else []),
            base.telemetry.lifespan,
            base.auth.lifespan,
            lifespan(instance, base.backend, background, settings.server.shutdown_grace_s),
        ],
        logging_config=None,  # the service configures its own (telemetry.configure_logging); tests have none
        openapi_config=None,  # app.openapi makes the document
        request_max_body_size=settings.server.max_body_bytes,
    )
    return Sluice(litestar, instance)


class _Litestar(Litestar):
    """Litestar without its plugins for pydantic and attrs, in whose types no route is written.

    They would import both packages wherever these are installed, as tests have: an eighth of a start.
    """

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return [*plugins, MsgspecDIPlugin()]


class _Base(msgspec.Struct, frozen=True, kw_only=True):
    """Dependencies shared by all roles."""

    environment: Environment
    streams: Streams
    auth: AuthService
    telemetry: Telemetry
    backend: Backend


def _base(settings: Settings, clock: Clock, fetch_keys: Fetch | None) -> _Base:
    streams = load_streams(settings.store)
    metrics = Metrics([*streams.by_name])
    telemetry = Telemetry(settings, metrics)
    environment = Environment(settings=settings, clock=clock, metrics=metrics, tracing=telemetry.tracing)
    return _Base(
        environment=environment,
        streams=streams,
        auth=AuthService(environment, streams, filter_check(streams), fetch_keys),
        telemetry=telemetry,
        backend=open_backend(settings, (*streams.tables, streams.rejects), clock),
    )


def _ingest(base: _Base, wrap_appender: WrapAppender, canaries: CanaryWatch | None) -> IngestService:
    tables = (*base.streams.tables, base.streams.rejects)
    return IngestService(
        base.environment,
        base.streams,
        base.backend,
        {table.name: wrap_appender(table, base.backend.appender(table)) for table in tables},
        verifier=base.auth.push,
        on_canary=canaries.stored if canaries is not None else None,
    )


def _background(
    base: _Base, ingest: IngestService | None, query: QueryService | None, canaries: CanaryWatch | None
) -> list[Coroutine[Any, Any, None]]:
    return [
        *base.backend.upkeep(),
        *(ingest.background() if ingest is not None else []),
        *([query.readers.share()] if query is not None else []),
        *([canaries.run()] if canaries is not None else []),
    ]


def _health(base: _Base, ingest: IngestService | None, query: QueryService | None) -> Health:
    health = Health(
        environment=base.environment,
        instance=base.telemetry.instance,
        keys_are_ready=lambda: base.auth.is_ready,
        in_flight=ingest.in_flight if ingest is not None else None,
        sinks=ingest.pipelines.writers if ingest is not None else {},
        reads=query.health if query is not None else None,
        connections=base.backend.connections,
        obstacle=base.backend.obstacle,
        lag_s=base.backend.lag_s,
    )
    lag_s = base.backend.lag_s
    base.environment.metrics.gauges |= {instruments.MIRROR_LAG: lambda: [] if lag_s is None else [(lag_s(), {})]}
    if ingest is not None:
        base.environment.metrics.gauges |= health.gauges(ingest.in_flight)
    return health


def _routes(base: _Base, instance: Instance) -> list[Any]:
    """Return the routes of the instance's halves, and those that every instance has."""
    ingest, query = instance.ingest, instance.query
    documents = [document_route(), *reference_routes(), *page_routes(base.environment.settings, base.streams)]
    routes = [
        *health_routes(instance.health, base.auth.identify),
        Router("/", route_handlers=documents, guards=[base.auth.document_guard]),
    ]
    guarded: list[Any] = base.telemetry.routes()
    if ingest is not None:
        routes.append(push_route(ingest.push, base.streams))
        guarded += ingest.routes()
    if query is not None:
        guarded += query.routes()
    return [*routes, Router("/", route_handlers=guarded, guards=[base.auth.guard])]
