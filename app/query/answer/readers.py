"""The route `/v1/readers`: how far behind each named reader is."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, route
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from app.http import paths
from app.http.contract import CONTRACT, JSON, Answer, Contract, media
from app.http.endpoint import Ask
from app.http.reading import METHODS, read_response
from app.query.answer.contract import FRESH
from app.query.readers import READER, Reader, Readers
from app.query.request.parameters import Parameters


class ReaderList(msgspec.Struct, frozen=True):
    """The named readers, the most recently seen first."""

    instances: Annotated[
        Literal["all", "this"],
        Meta(description="Whose readers: of all instances, or only of the one that answers (no `SLUICE_CACHE_URL`)."),
    ]
    readers: list[Reader]


_CONTRACT = Contract(
    answers={200: Answer("The readers.", {JSON: media(ReaderList)})},
    problems={400: "The endpoint has no parameters.", 401: "The token or API key is missing or not valid."},
)


def readers_route(readers: Readers) -> HTTPRouteHandler:
    """Return the route."""

    @route(
        paths.READERS,
        http_method=METHODS,
        operation_id="listReaders",
        opt={"scope": "read", CONTRACT: _CONTRACT},
        summary="List the named readers",
        description=f"How far behind each reader is that names itself with the header `{READER}`. A caller sees its "
        "own readers, or all of them with the scope `metrics`.",
        tags=["query"],
    )
    async def read(request: Ask) -> Response[Any]:
        Parameters(request.scope["query_string"].decode("latin-1"), {}).check()
        caller = request.state.principal
        seen = [each for each in readers.all() if "metrics" in caller.scopes or each.principal == caller.name]
        answer = ReaderList("all" if readers.are_shared else "this", seen)
        return read_response(request, msgspec.json.encode(answer), JSON, FRESH)

    return read
