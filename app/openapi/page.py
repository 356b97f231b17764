"""The reference page at `/docs`: Swagger UI from the files of an installed package, without third-party requests.

The files come from drf-spectacular-sidecar (the extra `reference`). None of its code is imported: only its folder is
looked up.
"""

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.assets import FOREVER, HTML, MEDIA_TYPES, REVALIDATED, Asset, asset, asset_response
from app.http.problems import ProblemError
from app.http.reading import METHODS
from app.openapi.document import PATH as DOCUMENT

PATH = "/docs"
_PACKAGE, _FOLDER = "drf_spectacular_sidecar", "static/drf_spectacular_sidecar/swagger-ui-dist"
_HERE = Path(__file__).parent
_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_OWN_ASSETS = ("start.js",)
_Request = Request[Any, Any, Any]


class _Page:
    """The page and its files, read on first request."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[str, Asset] = {}

    async def asset(self, name: str) -> Asset:
        """Return a file of the page.

        Raises:
            ProblemError: `not_found`: there is no such file, or the page is not installed.
        """
        if self._folder is None:
            detail = (
                "the reference page is not installed: install the extra `reference`, or read the document "
                f"at {DOCUMENT}"
            )
            raise ProblemError("not_found", detail)
        if not self._files:
            self._files = await asyncio.to_thread(_read_files, self._folder)
        if name not in self._files:
            raise ProblemError("not_found", "the reference page has no file of this name")
        return self._files[name]

    async def html(self, prefix: str) -> Asset:
        """Return the page; `prefix` is the location of its files, relative to the page's own URL.

        Raises:
            ProblemError: `not_found`: the page is not installed.
        """
        text = await asyncio.to_thread((_HERE / "page.html").read_text)
        for name in (*_ASSETS, *_OWN_ASSETS):
            text = text.replace(f"{{{name}}}", f"{prefix}{name}?v={(await self.asset(name)).version}")
        return asset(text.encode(), HTML)


def reference_routes() -> list[HTTPRouteHandler]:
    """Return the routes of the page."""
    page = _Page(_installed_folder())

    @route(PATH, http_method=METHODS)
    async def read_page(request: _Request) -> Response[bytes]:
        # With a trailing slash, the browser resolves relative URLs one level further down.
        is_folder = bytes(request.scope.get("raw_path") or b"").partition(b"?")[0].endswith(b"/")
        return asset_response(request, await page.html("" if is_folder else "docs/"), REVALIDATED)

    @route(PATH + "/{name:str}", http_method=METHODS)
    async def read_asset(request: _Request) -> Response[bytes]:
        found = await page.asset(request.path_params["name"])
        is_named_by_version = request.query_params.get("v") == found.version
        return asset_response(request, found, FOREVER if is_named_by_version else REVALIDATED)

    return [read_page, read_asset]


def _installed_folder() -> Path | None:
    """Return the folder of Swagger UI's files; None if the package is not installed."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / _FOLDER
    return folder if folder.is_dir() else None


def _read_files(folder: Path) -> dict[str, Asset]:
    files = [folder / name for name in _ASSETS] + [_HERE / name for name in _OWN_ASSETS]
    return {file.name: asset(file.read_bytes(), MEDIA_TYPES[file.suffix]) for file in files}
