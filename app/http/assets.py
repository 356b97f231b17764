"""Static files of the human-readable pages: their versioned names, compression, caching and security headers."""

import asyncio
import gzip
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.problems import ProblemError
from app.http.reading import METHODS, has_current, read_response, strong_etag

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


_FOLDERS = ("assets", "vendor")


class StaticPage:
    """The page `page.html` of a folder, and the files in its assets/ and vendor/, read on first request."""

    def __init__(self, folder: Path, path: str) -> None:
        """Serve the files below `path`, which begins with a slash."""
        self._folder, self._path = folder, path
        self._files: dict[str, Asset] = {}
        self._html: Asset | None = None
        self._version = ""

    async def html(self) -> Asset:
        """Return the page; `{files}` in it is the folder of its files, and `{modules}` links to preload scripts."""
        if self._html is None:
            self._files, text = await asyncio.to_thread(_read_files, self._folder)
            self._version = _version(self._files.values())
            # At once, not one after another as they import each other: under load each request takes its time.
            modules = sorted(name for name in self._files if name.endswith(".js") and name not in text)
            links = "\n".join(f'<link rel="modulepreload" href="{{files}}/{name}">' for name in modules)
            text = text.replace("{modules}", links).replace("{files}", f"{self._path[1:]}/{self._version}")
            self._html = asset(text.encode(), HTML)
        return self._html

    def files_route(self) -> HTTPRouteHandler:
        """Return the route of the files."""

        @route(self._path + "/{version:str}/{name:str}", http_method=METHODS)
        async def read_file(request: Request[Any, Any, Any]) -> Response[bytes]:
            await self.html()
            file = self._files.get(request.path_params["name"])
            if file is None:
                raise ProblemError("not_found", "the page has no file of this name")
            is_current = request.path_params["version"] == self._version
            return asset_response(request, file, FOREVER if is_current else REVALIDATED)

        return read_file


def _version(files: Iterable[Asset]) -> str:
    return strong_etag(*sorted(each.etag for each in files)).strip('"')[:16]


def _read_files(folder: Path) -> tuple[dict[str, Asset], str]:
    files = [file for each in _FOLDERS for file in (folder / each).iterdir() if file.suffix in MEDIA_TYPES]
    assets = {file.name: asset(file.read_bytes(), MEDIA_TYPES[file.suffix]) for file in files}
    return assets, (folder / "page.html").read_text(encoding="utf-8")
