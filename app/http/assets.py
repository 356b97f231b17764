"""Files of the pages that people see: how they are named, kept and locked in."""

from typing import Any

import msgspec
from litestar import Request, Response

from app.http.conditional import strong_etag
from app.http.reading import has_current, read_response

HTML = "text/html; charset=utf-8"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
REVALIDATED, FOREVER = "no-cache", "public, max-age=31536000, immutable"
SECURITY = {
    # Images may be `data:`, as icons in style sheets are; all else comes from the service itself, and no script or
    # style stands in a page. What a page asks for goes to the service, too.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


class Asset(msgspec.Struct, frozen=True):
    """A file as it is sent."""

    body: bytes
    media_type: str
    etag: str

    @property
    def version(self) -> str:
        """What a page names the file by, so that it can be kept for ever."""
        return self.etag.strip('"')[:16]


def asset(body: bytes, media_type: str) -> Asset:
    """Return the file with these bytes."""
    return Asset(body, media_type, strong_etag(body))


def asset_response(
    request: Request[Any, Any, Any], found: Asset, cache_control: str, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """Return the answer with a file, or that the caller has it; `headers` are further ones, or other ones."""
    stated = {**SECURITY, "ETag": found.etag, "Cache-Control": cache_control, **(headers or {})}
    if has_current(request, found.etag):
        return Response(b"", status_code=304, headers=stated)
    return read_response(request, found.body, found.media_type, stated)
