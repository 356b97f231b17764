"""The reference page at `/docs`: HTML made from the OpenAPI document, with one style sheet and no script."""

import asyncio
from pathlib import Path
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.assets import FOREVER, HTML, MEDIA_TYPES, REVALIDATED, Asset, asset, asset_response
from app.http.problems import ProblemError
from app.http.reading import METHODS
from app.openapi.document import make_document
from app.openapi.reference import reference

PATH = "/docs"
STYLE = "reference.css"
_HERE = Path(__file__).parent
_Request = Request[Any, Any, Any]


class _Page:
    """The page and its style sheet, made on first request."""

    def __init__(self) -> None:
        self._style: Asset | None = None
        self._pages: dict[tuple[str, bool], Asset] = {}

    async def style(self) -> Asset:
        """Return the style sheet."""
        if self._style is None:
            body = await asyncio.to_thread((_HERE / STYLE).read_bytes)
            self._style = asset(body, MEDIA_TYPES[".css"])
        return self._style

    async def html(self, request: _Request, *, is_folder: bool) -> Asset:
        """Return the page; links are relative to its own URL, which ends with a slash if `is_folder`."""
        key = str(request.scope.get("root_path", "")), is_folder  # the server's setting: at most two pages
        if key not in self._pages:
            document = make_document(request.app.routes, key[0])
            style = f"{'' if is_folder else 'docs/'}{STYLE}?v={(await self.style()).version}"
            self._pages[key] = await asyncio.to_thread(_render, document, style, "../" if is_folder else "./")
        return self._pages[key]


def reference_routes() -> list[HTTPRouteHandler]:
    """Return the routes of the page."""
    page = _Page()

    @route(PATH, http_method=METHODS)
    async def read_page(request: _Request) -> Response[bytes]:
        # With a trailing slash, the browser resolves relative URLs one level further down.
        is_folder = bytes(request.scope.get("raw_path") or b"").partition(b"?")[0].endswith(b"/")
        return asset_response(request, await page.html(request, is_folder=is_folder), REVALIDATED)

    @route(PATH + "/{name:str}", http_method=METHODS)
    async def read_asset(request: _Request) -> Response[bytes]:
        if request.path_params["name"] != STYLE:
            raise ProblemError("not_found", "the reference page has no file of this name")
        style = await page.style()
        is_named_by_version = request.query_params.get("v") == style.version
        return asset_response(request, style, FOREVER if is_named_by_version else REVALIDATED)

    return [read_page, read_asset]


def _render(document: dict[str, Any], style: str, root: str) -> Asset:
    text = (_HERE / "page.html").read_text(encoding="utf-8")
    # The contents last: a text of the record type may look like a placeholder.
    for name, value in ((STYLE, style), ("root", root), ("reference", reference(document))):
        text = text.replace(f"{{{name}}}", value)
    return asset(text.encode(), HTML)
