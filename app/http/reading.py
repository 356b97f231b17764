"""What every route that is read has in common: HEAD answers as GET does, length included, without the body."""

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
    """Return the answer to a GET, or to a HEAD of the same."""
    content = b"" if request.method == HttpMethod.HEAD else body
    stated = {**(headers or {}), "Content-Type": media_type, "Content-Length": str(len(body))}
    return Response(content, status_code=status, media_type=media_type, headers=stated)


def has_current(request: Request[Any, Any, Any], etag: str) -> bool:
    """Say whether the caller has the answer with this entity tag already, so that 304 is the answer."""
    return is_match(", ".join(request.headers.getall("if-none-match", [])), etag)


def operation_ids(name: str) -> Callable[[HTTPRouteHandler, HttpMethod | str, Any], str]:
    """Return what names the operations of a route: `name` for GET, `name`Head for HEAD."""

    def operation_id(_: HTTPRouteHandler, method: HttpMethod | str, __: Any) -> str:
        return f"{name}Head" if str(getattr(method, "value", method)).upper() == "HEAD" else name

    return operation_id
