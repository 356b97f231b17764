"""Static files of the human-readable pages: their versioned names, compression, caching and security headers."""

import gzip
import re
from typing import Any

import msgspec
from litestar import Request, Response

from app.http.conditional import strong_etag
from app.http.reading import has_current, read_response

HTML = "text/html; charset=utf-8"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
REVALIDATED, FOREVER = "no-cache", "public, max-age=31536000, immutable"
SECURITY = {
    # Images may be `data:` URLs, as icons in style sheets are. Everything else comes from the service itself, and
    # scripts and styles are never inline. Pages send requests to the service only.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


# RFC 9110 §12.5.3. `*` and other codings are ignored: sending the bytes as they are is never wrong.
_GZIP = re.compile(r"(?:^|,)[ \t]*(?:x-)?gzip[ \t]*(?:;[ \t]*q=([01](?:\.\d{0,3})?)[ \t]*)?(?=,|$)", re.IGNORECASE)


class Asset(msgspec.Struct, frozen=True):
    """A file as it is served: as it is, or compressed."""

    body: bytes
    media_type: str
    etag: str
    compressed: bytes

    @property
    def version(self) -> str:
        """The version that pages put into the file's URL, so that it can be cached forever."""
        return self.etag.strip('"')[:16]


def asset(body: bytes, media_type: str) -> Asset:
    """Return the asset with these bytes."""
    return Asset(body, media_type, strong_etag(body), gzip.compress(body, mtime=0))


def asset_response(
    request: Request[Any, Any, Any], file: Asset, cache_control: str, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """Return the response with a file, or 304 if the caller has it; `headers` add to or override the usual ones.

    The entity tag names the coding too, as a strong one promises the same bytes.
    """
    is_compressed = _accepts_gzip(request)
    etag = f'{file.etag[:-1]}-gzip"' if is_compressed else file.etag
    stated = {**SECURITY, "ETag": etag, "Cache-Control": cache_control, **(headers or {})}
    stated["Vary"] = ", ".join(filter(None, (stated.get("Vary"), "Accept-Encoding")))
    if has_current(request, etag):
        return Response(b"", status_code=304, headers=stated)
    if is_compressed:
        stated["Content-Encoding"] = "gzip"
    return read_response(request, file.compressed if is_compressed else file.body, file.media_type, stated)


def _accepts_gzip(request: Request[Any, Any, Any]) -> bool:
    accepted = _GZIP.search(",".join(request.headers.getall("accept-encoding", [])))
    return accepted is not None and (accepted[1] is None or float(accepted[1]) > 0)
