"""An endpoint as data, and its routes: at a path of its own for the default stream, and one for all named streams.

One route for all streams keeps start-up short and memory small, however many streams there are.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Response, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from app.auth.read_slots import ReadSlots
from app.http import paths
from app.http.contract import CONTRACT, OF_DEFAULT, PER_STREAM, STREAM, Contract
from app.http.reading import METHODS
from app.query.answer.conditional import Ask, CachedResponder
from app.query.answer.export import Exports
from app.query.read.feed import Feed
from app.schema.table import Table
from app.stores.backend import Eraser
from app.stores.query import Condition

Endpoint = TypeVar("Endpoint")


class StreamParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoints of one stream are made of; its paths begin with `root`, its rejects are those of `only`."""

    root: str
    feed: Feed
    reject_feed: Feed
    only: tuple[Condition, ...]
    exports: Exports
    responder: CachedResponder
    tail_slots: ReadSlots
    tail_turn: asyncio.Semaphore
    eraser: Eraser

    @property
    def table(self) -> Table:
        """The table of the stream's records."""
        return self.feed.table


class EndpointSpec(msgspec.Struct, Generic[Endpoint], frozen=True, kw_only=True):
    """An endpoint: `make` returns what answers for one stream, or None where the stream has none.

    `path` follows the root of a stream. Without a `name`, the operation is not in the OpenAPI document. `whose` says
    whose records the route of the default stream serves. `is_read`: it ends when its client leaves or the service
    stops.
    """

    path: str
    make: Callable[[StreamParts], Endpoint | None]
    respond: Callable[[Endpoint, Ask], Coroutine[Any, Any, Response[Any]]]
    contract: Callable[[Endpoint], Contract]
    scope: str | None
    name: str = ""
    summary: str = ""
    text: str = ""
    """May name the settings of queries: `{limits.tail_max_s}`."""
    methods: Sequence[HttpMethod] = METHODS
    tag: str = "query"
    whose: str = OF_DEFAULT
    is_read: bool = True

    def alone(self, parts: StreamParts) -> list[HTTPRouteHandler]:
        """Return the route of the default stream."""
        endpoint = self.make(parts)
        if endpoint is None:
            return []
        opt: dict[str, Any] = {STREAM: self.whose}
        if self.name:
            opt[CONTRACT] = self.contract(endpoint)
        return [self._route(parts, parts.root + self.path, lambda _: endpoint, opt)]

    def per_stream(self, by_name: Mapping[str, StreamParts]) -> list[HTTPRouteHandler]:
        """Return the route of all named streams."""
        made = {name: self.make(parts) for name, parts in by_name.items()}
        endpoints = {name: endpoint for name, endpoint in made.items() if endpoint is not None}
        if not endpoints:
            return []
        opt: dict[str, Any] = {}
        if self.name:
            opt[PER_STREAM] = {name: self.contract(endpoint) for name, endpoint in endpoints.items()}
        of = partial(paths.of_stream, endpoints)
        return [self._route(next(iter(by_name.values())), paths.STREAM + self.path, of, opt)]

    def _route(
        self, parts: StreamParts, path: str, of: Callable[[Any], Endpoint], opt: Mapping[str, Any]
    ) -> HTTPRouteHandler:
        reads, limits = parts.responder.reads, parts.feed.environment.settings.query

        @route(
            path,
            http_method=self.methods,
            operation_id=self.name or None,
            opt={**({"scope": self.scope} if self.scope else {}), **opt},
            summary=self.summary,
            description=self.text.format(limits=limits),
            tags=[self.tag],
            status_code=200,
        )
        async def handle(request: Ask) -> Response[bytes]:
            work = self.respond(of(request.scope), request)
            return await (reads.run(request, work) if self.is_read else work)

        return handle
