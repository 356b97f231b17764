"""The reference page at `/docs`: Swagger UI, from the files of an installed package, with nothing from elsewhere.

The files are those of drf-spectacular-sidecar (the extra `reference`), of which no code is imported: only their
folder is looked up.
"""

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.conditional import strong_etag
from app.errors import ProblemError
from app.reading import METHODS, has_current, read_response
from app.reference.document import PATH as DOCUMENT

PATH = "/docs"
_PACKAGE, _FOLDER = "drf_spectacular_sidecar", "static/drf_spectacular_sidecar/swagger-ui-dist"
_HERE = Path(__file__).parent
_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png"}
_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_OWN_ASSETS = ("start.js",)
_HTML = "text/html; charset=utf-8"
_SECURITY = {
    # Icons in the style sheet are `data:` images; all else comes from the service itself, and no script stands in the
    # page. The document that is fetched and the requests that are tried out go to the service, too.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_REVALIDATED, _FOREVER = "no-cache", "public, max-age=31536000, immutable"
_Request = Request[Any, Any, Any]


class _Asset(msgspec.Struct, frozen=True):
    body: bytes
    media_type: str
    etag: str

    @property
    def version(self) -> str:
        """What the page names the file by, so that it can be kept for ever."""
        return self.etag.strip('"')[:16]


class _Page:
    """The page and its files, read when they are first asked for."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[str, _Asset] = {}

    async def asset(self, name: str) -> _Asset:
        """Return a file of the page.

        Raises:
            ProblemError: `not_found`: there is no such file, or the page is not installed.
        """
        if self._folder is None:
            detail = f"the reference page is not installed (the extra `reference`); the document is at {DOCUMENT}"
            raise ProblemError("not_found", detail)
        if not self._files:
            self._files = await asyncio.to_thread(_read_files, self._folder)
        if name not in self._files:
            raise ProblemError("not_found", "the reference page has no such file")
        return self._files[name]

    async def html(self, prefix: str) -> _Asset:
        """Return the page; its files are found at `prefix`, relative to the page's own address.

        Raises:
            ProblemError: `not_found`: the page is not installed.
        """
        text = await asyncio.to_thread((_HERE / "page.html").read_text)
        for name in (*_ASSETS, *_OWN_ASSETS):
            text = text.replace(f"{{{name}}}", f"{prefix}{name}?v={(await self.asset(name)).version}")
        return _asset(text.encode(), _HTML)


def reference_routes() -> list[HTTPRouteHandler]:
    """Return the routes of the page, and the one that leads to it from `/`."""
    folder = _installed_folder()
    page = _Page(folder)

    @route(PATH, http_method=METHODS, include_in_schema=False)
    async def read_page(request: _Request) -> Response[bytes]:
        # With a slash at the end, the browser looks for what is relative one level further down.
        is_folder = bytes(request.scope.get("raw_path") or b"").partition(b"?")[0].endswith(b"/")
        return _answer(request, await page.html("" if is_folder else "docs/"), _REVALIDATED)

    @route(PATH + "/{name:str}", http_method=METHODS, include_in_schema=False)
    async def read_asset(request: _Request) -> Response[bytes]:
        asset = await page.asset(request.path_params["name"])
        is_named_by_version = request.query_params.get("v") == asset.version
        return _answer(request, asset, _FOREVER if is_named_by_version else _REVALIDATED)

    @route("/", http_method=METHODS, include_in_schema=False)
    async def read_root() -> Response[bytes]:
        target = DOCUMENT if folder is None else PATH
        return Response(b"", status_code=307, headers={"Location": target.removeprefix("/")})

    return [read_page, read_asset, read_root]


def _installed_folder() -> Path | None:
    """Return the folder of Swagger UI's files; None where the package is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / _FOLDER
    return folder if folder.is_dir() else None


def _read_files(folder: Path) -> dict[str, _Asset]:
    files = [folder / name for name in _ASSETS] + [_HERE / name for name in _OWN_ASSETS]
    return {file.name: _asset(file.read_bytes(), _MEDIA_TYPES[file.suffix]) for file in files}


def _asset(body: bytes, media_type: str) -> _Asset:
    return _Asset(body, media_type, strong_etag(body))


def _answer(request: _Request, asset: _Asset, cache_control: str) -> Response[bytes]:
    headers = {**_SECURITY, "ETag": asset.etag, "Cache-Control": cache_control}
    if has_current(request, asset.etag):
        return Response(b"", status_code=304, headers=headers)
    return read_response(request, asset.body, asset.media_type, headers)
