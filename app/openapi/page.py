"""The reference page at `/docs`: Swagger UI, served by this service, shows the OpenAPI document."""

from pathlib import Path
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.assets import REVALIDATED, asset_response
from app.http.reading import METHODS
from app.http.static_page import StaticPage

PATH = "/docs"


def reference_routes() -> list[HTTPRouteHandler]:
    """Return the routes of the page and its files."""
    page = StaticPage(Path(__file__).parent, PATH)

    @route(PATH, http_method=METHODS)
    async def read_page(request: Request[Any, Any, Any]) -> Response[bytes]:
        # With a trailing slash, the browser would resolve relative URLs one level further down.
        if bytes(request.scope.get("raw_path") or b"").partition(b"?")[0].endswith(b"/"):
            return Response(b"", status_code=308, headers={"Location": f"..{PATH}"})
        return asset_response(request, await page.html(), REVALIDATED)

    return [read_page, page.files_route()]
