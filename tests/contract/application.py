"""An application of query routes alone, in which a caller is whom it says it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from app.auth.grants import ALL_SCOPES, LOCAL_PRINCIPAL, Principal
from app.http.problems import EXCEPTION_HANDLERS
from app.query.answer.cache import AnswerCache, open_store
from app.query.parts import SharedParts
from app.query.read.reads import Reads
from app.query.readers import Readers
from app.query.setup import query_routes
from app.runtime.clock import Clock
from app.schema.table import Table
from app.settings.load import Settings
from app.stores.backend import Eraser
from app.stores.erasures import ErasedRecord
from app.stores.query import Deletion
from app.stores.source import QueryRunner
from app.streams import Streams, of_table
from tests.contract.stores import RECORDS
from tests.support.unwatched import environment_of


def cache_of(
    clock: Clock, namespace: Callable[[], str] = lambda: "test", settings: Settings | None = None
) -> AnswerCache:
    """Return a cache that has nothing in it."""
    environment = environment_of(clock, settings or Settings())
    return AnswerCache(environment, open_store(environment.settings.query, clock), namespace)


def application(routes: Sequence[Any], principals: Mapping[str, Principal] | None = None) -> Litestar:
    """Return an application of `routes`, whose caller is the one of `principals` that `Authorization` names."""
    known = {} if principals is None else principals

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        connection.state.principal = known.get(connection.headers.get("authorization", ""), LOCAL_PRINCIPAL)

    return Litestar(
        [*routes],
        guards=[guard],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )


class QueryApplication(msgspec.Struct, frozen=True):
    """The whole way out over one store: the routes, and what a stop drains."""

    routes: list[Any]
    reads: Reads


def query_application(
    runner: QueryRunner, clock: Clock, settings: Settings, *, records: Table = RECORDS, eraser: Eraser | None = None
) -> QueryApplication:
    """Return the way out over `runner`, with a cache of its own; with an `eraser`, records can be erased, too."""
    reads, erases = Reads(clock), eraser or NoEraser()
    cache = cache_of(clock, lambda: f"test {erases.generation}", settings)
    return QueryApplication(routes_over(runner, of_table(records), cache, reads, erases), reads)


def routes_over(runner: QueryRunner, streams: Streams, cache: AnswerCache, reads: Reads, eraser: Eraser) -> list[Any]:
    """Return the routes of the way out over `runner`."""
    readers = Readers(cache.environment, runner, streams)
    return query_routes(streams, runner, SharedParts(cache=cache, reads=reads, eraser=eraser, readers=readers))


class NoEraser:
    """What a store without erasures has."""

    generation = 0

    async def delete(self, query: Deletion) -> int:
        raise NotImplementedError

    async def advance(self, erased: ErasedRecord) -> None:
        raise NotImplementedError


def principal(name: str, **filters: str) -> Principal:
    """Return a caller that may see only what meets `filters`, in whose names `__` stands for a dot."""
    pairs = tuple(sorted((key.replace("__", "."), text) for key, text in filters.items()))
    return Principal(name, ALL_SCOPES, pairs)
