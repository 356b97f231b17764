"""The page at `/`, and its files at `/page/<version>/<name>`.

The version covers all files together, and scripts import each other by relative paths. So everything that a page loads
belongs to one release, even while instances of two releases are running, and can be cached forever.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.datastructures.headers import Accept
from litestar.handlers import HTTPRouteHandler

from app.http.assets import FOREVER, HTML, MEDIA_TYPES, REVALIDATED, SECURITY, Asset, asset, asset_response
from app.http.conditional import strong_etag
from app.http.problems import ProblemError
from app.http.reading import METHODS
from app.page.welcome import welcome
from app.schema.table import Table
from app.settings.load import Settings

PATH = "/page"
_HERE = Path(__file__).parent
_FOLDERS = ("assets", "vendor")
# In addition to the headers of every page: no text may become markup, so a record cannot inject a script.
_HEADERS = {
    "Content-Security-Policy": f"{SECURITY['Content-Security-Policy']}; require-trusted-types-for 'script'",
    "Vary": "Accept",
}
_Request = Request[Any, Any, Any]


class _Page:
    """The page and its files, read on first request."""

    def __init__(self) -> None:
        self._files: dict[str, Asset] = {}
        self._html: Asset | None = None
        self.version = ""

    async def html(self) -> Asset:
        """Return the page."""
        if self._html is None:
            self._files, text = await asyncio.to_thread(_read_files)
            self.version = _version(self._files.values())
            self._html = asset(text.replace("{files}", f"{PATH[1:]}/{self.version}").encode(), HTML)
        return self._html

    async def file(self, name: str) -> Asset:
        """Return a file of the page.

        Raises:
            ProblemError: `not_found`: there is no file of this name.
        """
        await self.html()
        if name not in self._files:
            raise ProblemError("not_found", "the page has no such file")
        return self._files[name]


def page_routes(settings: Settings, table: Table) -> list[HTTPRouteHandler]:
    """Return the routes of the page; `table` is the table of the record type."""
    page = _Page()
    links = asset(msgspec.json.encode(welcome(settings, table)) + b"\n", "application/json")

    @route("/", http_method=METHODS, include_in_schema=False)
    async def read_root(request: _Request) -> Response[bytes]:
        # Browsers name HTML in Accept; `*/*` alone, as curl sends it, gets the JSON.
        accepted = Accept(",".join(request.headers.getall("accept", [])))
        wants_html = accepted.best_match(["application/json", "text/html"]) == "text/html"
        return asset_response(request, await page.html() if wants_html else links, REVALIDATED, _HEADERS)

    @route(PATH + "/{version:str}/{name:str}", http_method=METHODS, include_in_schema=False)
    async def read_file(request: _Request) -> Response[bytes]:
        found = await page.file(request.path_params["name"])
        is_current = request.path_params["version"] == page.version
        return asset_response(request, found, FOREVER if is_current else REVALIDATED)

    return [read_root, read_file]


def _version(files: Iterable[Asset]) -> str:
    return strong_etag(*sorted(each.etag for each in files)).strip('"')[:16]


def _read_files() -> tuple[dict[str, Asset], str]:
    files = [file for folder in _FOLDERS for file in (_HERE / folder).iterdir() if file.suffix in MEDIA_TYPES]
    found = {file.name: asset(file.read_bytes(), MEDIA_TYPES[file.suffix]) for file in files}
    return found, (_HERE / "page.html").read_text(encoding="utf-8")
