"""What all read routes share: HEAD responds as GET does, length included, but without the body."""

from collections.abc import Callable, Mapping
from typing import Any

from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler

from app.http.conditional import is_match

METHODS = (HttpMethod.GET, HttpMethod.HEAD)


def read_response(
    request: Request[Any, Any, Any],
    body: bytes,
    media_type: str,
    headers: Mapping[str, str] | None = None,
    *,
    status: int = 200,
) -> Response[bytes]:
    """Return the response to a GET, or to the corresponding HEAD."""
    content = b"" if request.method == HttpMethod.HEAD else body
    stated = {**(headers or {}), "Content-Type": media_type, "Content-Length": str(len(body))}
    return Response(content, status_code=status, media_type=media_type, headers=stated)


def has_current(request: Request[Any, Any, Any], etag: str) -> bool:
    """Return whether the caller already has the content with this entity tag, so that the response is 304."""
    return is_match(", ".join(request.headers.getall("if-none-match", [])), etag)


def operation_ids(name: str) -> Callable[[HTTPRouteHandler, HttpMethod | str, Any], str]:
    """Return the function that names the operations of a route: `name` for GET, `name`Head for HEAD."""

    def operation_id(_: HTTPRouteHandler, method: HttpMethod | str, __: Any) -> str:
        return f"{name}Head" if str(getattr(method, "value", method)).upper() == "HEAD" else name

    return operation_id
