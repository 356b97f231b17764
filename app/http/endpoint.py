"""An endpoint as data, and its routes: at a path of its own for the default stream, and one for all named streams.

One route for all streams keeps start-up short and memory small, however many streams there are.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from app.http import paths
from app.http.contract import CONTRACT, OF_DEFAULT, PER_STREAM, STREAM, Contract
from app.http.reading import METHODS

Ask = Request[Any, Any, Any]
Work = Coroutine[Any, Any, Response[Any]]
Parts = TypeVar("Parts")
Endpoint = TypeVar("Endpoint")


async def _at_once(_: Ask, work: Work) -> Response[Any]:
    return await work


class Serving(msgspec.Struct, frozen=True):
    """How endpoints are served: `read` awaits the work of a read, and `limits` are named in texts."""

    read: Callable[[Ask, Work], Awaitable[Response[Any]]] = _at_once
    limits: Any = None


_AS_IT_IS = Serving()


class EndpointSpec(msgspec.Struct, Generic[Parts, Endpoint], frozen=True, kw_only=True):
    """An endpoint: `make` returns what answers for one stream, or None where the stream has none.

    `path` follows the root of a stream. Without a `name`, the operation is not in the OpenAPI document. `whose` says
    whose records the route of the default stream serves. `is_read`: it ends when its client leaves or the service
    stops.
    """

    path: str
    make: Callable[[Parts], Endpoint | None]
    respond: Callable[[Endpoint, Ask], Work]
    contract: Callable[[Endpoint], Contract]
    scope: str | None
    name: str = ""
    summary: str = ""
    text: str = ""
    """May name the settings of queries: `{limits.tail_max_s}`."""
    methods: Sequence[HttpMethod] = METHODS
    status_code: int = 200
    tag: str = "query"
    whose: str = OF_DEFAULT
    is_read: bool = True

    def alone(self, parts: Parts, serving: Serving) -> list[HTTPRouteHandler]:
        """Return the route of the default stream."""
        endpoint = self.make(parts)
        if endpoint is None:
            return []
        opt: dict[str, Any] = {STREAM: self.whose}
        if self.name:
            opt[CONTRACT] = self.contract(endpoint)
        return [self._route("/v1" + self.path, lambda _: endpoint, opt, serving)]

    def per_stream(self, by_name: Mapping[str, Parts], serving: Serving) -> list[HTTPRouteHandler]:
        """Return the route of all named streams."""
        made = {name: self.make(parts) for name, parts in by_name.items()}
        endpoints = {name: endpoint for name, endpoint in made.items() if endpoint is not None}
        if not endpoints:
            return []
        opt: dict[str, Any] = {}
        if self.name:
            opt[PER_STREAM] = {name: self.contract(endpoint) for name, endpoint in endpoints.items()}
        return [self._route(paths.STREAM + self.path, partial(paths.of_stream, endpoints), opt, serving)]

    def _route(
        self, path: str, of: Callable[[Any], Endpoint], opt: Mapping[str, Any], serving: Serving
    ) -> HTTPRouteHandler:
        @route(
            path,
            http_method=self.methods,
            operation_id=self.name or None,
            opt={**({"scope": self.scope} if self.scope else {}), **opt},
            summary=self.summary,
            description=self.text.format(limits=serving.limits),
            tags=[self.tag],
            status_code=self.status_code,
        )
        async def handle(request: Ask) -> Response[bytes]:
            work = self.respond(of(request.scope), request)
            return await (serving.read(request, work) if self.is_read else work)

        return handle


def routes_of(
    specs: Sequence[EndpointSpec[Parts, Any]],
    default: Parts,
    by_name: Mapping[str, Parts],
    serving: Serving = _AS_IT_IS,
) -> list[HTTPRouteHandler]:
    """Return the routes of the default stream under `/v1`, and those of the named streams, if there are any."""
    routes = [route for spec in specs for route in spec.alone(default, serving)]
    return routes + ([route for spec in specs for route in spec.per_stream(by_name, serving)] if by_name else [])
