"""What all read routes share: HEAD responds as GET does, length included, but without the body."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response
from litestar.enums import HttpMethod

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
