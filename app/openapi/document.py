"""The OpenAPI document at `/openapi/openapi.json`: the framework's document of the routes, completed."""

from typing import Any

import msgspec
from litestar import Request, Response, Router, route
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import License

from app.http.assets import Asset, asset
from app.http.reading import METHODS, has_current, read_response
from app.openapi.about import DESCRIPTION, SUMMARY, TITLE, VERSION
from app.openapi.completion import complete
from app.schema.table import Table

PATH = "/openapi/openapi.json"
_MEDIA_TYPE = "application/vnd.oai.openapi+json"


class _NoRouter(Router):
    """Ignores the framework's own routes: they support GET only, and respond with HTML for unknown paths."""

    def register(self, value: Any) -> list[Any]:
        """Register nothing."""
        return []


def openapi_config() -> OpenAPIConfig:
    """Return the configuration for the framework's document; `document_route` serves it."""
    return OpenAPIConfig(
        title=TITLE,
        version=VERSION,
        summary=SUMMARY,
        description=DESCRIPTION,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        create_examples=False,
        render_plugins=[JsonRenderPlugin()],
        openapi_router=_NoRouter("/openapi", route_handlers=[], include_in_schema=False),
    )


def document_route(records: Table) -> HTTPRouteHandler:
    """Return the route of the document; `records` is the table of the record type."""
    document = _Document(records)

    @route(PATH, http_method=METHODS, include_in_schema=False)
    async def read_document(request: Request[Any, Any, Any]) -> Response[bytes]:
        return document.to(request)

    return read_document


class _Document:
    """The document, built on first request to keep start-up fast: not every instance is asked for it."""

    def __init__(self, records: Table) -> None:
        self._records = records
        self._documents: dict[str, Asset] = {}

    def to(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Respond with the document, or with 304 if the caller already has it."""
        root_path = str(request.scope.get("root_path", ""))
        if root_path not in self._documents:  # the server's setting: there is at most one
            schema = complete(request.app.openapi_schema.to_schema(), self._records, root_path=root_path)
            self._documents[root_path] = asset(msgspec.json.encode(schema), _MEDIA_TYPE)
        document = self._documents[root_path]
        headers = {"ETag": document.etag, "Cache-Control": "no-cache"}
        if has_current(request, document.etag):
            return Response(b"", status_code=304, headers=headers)
        return read_response(request, document.body, document.media_type, headers)
