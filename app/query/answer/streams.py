"""The route `/v1/streams`: the streams of the deployment that the caller may use."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from app.auth.grants import Principal
from app.http import paths
from app.http.contract import CONTRACT, JSON, Answer, Contract, media
from app.http.reading import METHODS, read_response
from app.query.answer.conditional import FRESH
from app.query.request.parameters import parse_nothing
from app.schema.table import schema_version
from app.streams import Streams

_PROBLEMS = {400: "The endpoint has no parameters.", 401: "The token or API key is missing or not valid."}


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A stream, and the paths of its records, rejects and schema."""

    name: str
    is_default: Annotated[bool, Meta(description="Whether `/v1/records` serves it.")]
    id: Annotated[str | None, Meta(description="The field that `/records/{id}` looks up; null if there is none.")]
    schema_version: Annotated[str, Meta(description="Changes when, and only when, rows would look different.")]
    retention_days: Annotated[int, Meta(description="How long its records are kept.")]
    records: str
    rejects: str
    schema: str


class StreamList(msgspec.Struct, frozen=True):
    """The streams, the default one first."""

    streams: list[StreamEntry]


def stream_path(name: str, below: str) -> str:
    """Return the path of a stream's own route, such as `below` = "/records"."""
    return f"{paths.STREAMS}/{name}{below}"


def streams_route(streams: Streams, retention_days: int) -> HTTPRouteHandler:
    """Return the route that lists `streams`; one without a retention of its own keeps rows for `retention_days`."""
    entries = [
        StreamEntry(
            name=name,
            is_default=stream is streams.default,
            id=stream.table.id.name if stream.table.id else None,
            schema_version=schema_version(stream.table),
            retention_days=stream.table.retention_days or retention_days,
            records=stream_path(name, "/records"),
            rejects=stream_path(name, "/rejects"),
            schema=stream_path(name, "/schema"),
        )
        for name, stream in streams.by_name.items()
    ]
    example = msgspec.to_builtins(StreamList(entries[:1]))
    answer = Answer("The streams.", {JSON: media(StreamList, example)})

    @route(
        paths.STREAMS,
        http_method=METHODS,
        operation_id="listStreams",
        opt={CONTRACT: Contract(answers={200: answer}, problems=_PROBLEMS)},
        summary="List the streams",
        description="Each stream has a record type, a table and paths of its own. A caller whose grant names streams "
        "sees those only.",
        tags=["query"],
    )
    async def list_streams(request: Request[Any, Any, Any]) -> Response[bytes]:
        parse_nothing(request.scope["query_string"].decode("latin-1"))
        principal: Principal = request.state.principal
        allowed = [entry for entry in entries if principal.may_use(entry.name)]
        return read_response(request, msgspec.json.encode(StreamList(allowed)), JSON, FRESH)

    return list_streams
