"""What every route that is read has in common: HEAD answers as GET does, length included, without the body."""

from collections.abc import Callable, Mapping
from typing import Any

from litestar import Request, Response, Router, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin

METHODS = (HttpMethod.GET, HttpMethod.HEAD)


def read_response(
    request: Request[Any, Any, Any],
    body: bytes,
    media_type: str,
    headers: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> Response[bytes]:
    """Return the answer to a GET, or to a HEAD of the same."""
    content = b"" if request.method == HttpMethod.HEAD else body
    stated = {**(headers or {}), "Content-Type": media_type, "Content-Length": str(len(body))}
    return Response(content, status_code=status, media_type=media_type, headers=stated)


def operation_ids(name: str) -> Callable[[HTTPRouteHandler, HttpMethod | str, Any], str]:
    """Return what names the operations of a route: `name` for GET, `name`Head for HEAD."""

    def operation_id(_: HTTPRouteHandler, method: HttpMethod | str, __: Any) -> str:
        return f"{name}Head" if str(getattr(method, "value", method)).upper() == "HEAD" else name

    return operation_id


class OpenAPIDocument(JsonRenderPlugin):
    """Serves the OpenAPI document; the framework's own plugin answers GET only."""

    def receive_router(self, router: Router) -> None:
        """Add HEAD to the paths of the document."""

        @route(self.paths, http_method=HttpMethod.HEAD)
        async def head(request: Request[Any, Any, Any]) -> Response[bytes]:
            body = self.render(request, request.app.openapi_schema.to_schema())
            return read_response(request, body, self.media_type.value)

        router.register(head)
