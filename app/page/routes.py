"""The page at `/`, and its files below `/page`."""

from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http.assets import REVALIDATED, SECURITY, StaticPage, asset, asset_response
from app.http.reading import METHODS, preferred
from app.openapi.document import SUMMARY, TITLE
from app.schema.record_json import draft_record, example_record
from app.settings.load import Settings
from app.streams import Streams
from app.version import VERSION

# How often the page polls: queries of the embedded store are free; BigQuery bills at least 10 MB for each query.
_REFRESH_S = {"embedded": 2}  # elsewhere a query costs something
_OTHERS_REFRESH_S = 30
_FREE_LINKS = {
    "docs": "docs",
    "openapi": "openapi/openapi.json",
    "live": "health/live",
    "ready": "health/ready",
}
_QUERY_LINKS = {
    "records": "v1/records",
    "record_stats": "v1/records/stats",
    "tail": "v1/records/tail",
    "rejects": "v1/rejects",
    "reject_stats": "v1/rejects/stats",
    "schema": "v1/schema",
    "problems": "v1/problems",
}
_STREAM_LINKS = {"streams": "v1/streams"}  # if there are several


def welcome(settings: Settings, streams: Streams) -> dict[str, Any]:
    """Return the document; links are relative to `/`, so they also work behind a prefix.

    It contains no data and no secret: like the OpenAPI document, it is public. `example` is a record that the default
    stream stores as it is, for a newcomer's first request. If none could be derived it is null, and `template` is the
    shape of a record, with `<...>` for each value to fill in. `trace` is the address of a trace, with `{trace}` for its
    id; it is empty unless traces go to Cloud Trace.
    """
    table = streams.default.table
    example = example_record(table)
    query_links = _QUERY_LINKS | (_STREAM_LINKS if streams.are_named else {})
    return {
        "name": TITLE,
        "version": VERSION,
        "summary": SUMMARY,
        "backend": settings.store.backend,
        "roles": list(settings.server.roles),
        "refresh_s": _REFRESH_S.get(settings.store.backend, _OTHERS_REFRESH_S),
        "needs_key": bool(settings.auth.api_principals or settings.auth.grants_file),
        "example": example,
        "template": draft_record(table) if example is None else None,
        "trace": _trace_address(settings),
        "links": _FREE_LINKS | (query_links if "query" in settings.server.roles else {}),
    }


def _trace_address(settings: Settings) -> str:
    """Return where a browser shows a trace, with `{trace}` for its id; "" if traces do not go to Cloud Trace."""
    if not settings.telemetry.traces.startswith("cloud"):
        return ""
    return f"https://console.cloud.google.com/traces/list?project={settings.project}&tid={{trace}}"


# In addition to the headers of every page: no text may become markup, so a record cannot inject a script.
_HEADERS = {
    "Content-Security-Policy": f"{SECURITY['Content-Security-Policy']}; require-trusted-types-for 'script'",
    "Vary": "Accept",
}
_Request = Request[Any, Any, Any]


def page_routes(settings: Settings, streams: Streams) -> list[HTTPRouteHandler]:
    """Return the routes of the page."""
    page = StaticPage(Path(__file__).parent, "/page")
    links = asset(msgspec.json.encode(welcome(settings, streams)) + b"\n", "application/json")

    @route("/", http_method=METHODS)
    async def read_root(request: _Request) -> Response[bytes]:
        # Browsers name HTML in Accept; `*/*` alone, as curl sends it, gets the JSON.
        accept = ",".join(request.headers.getall("accept", []))
        wants_html = preferred(accept, ["application/json", "text/html"]) == "text/html"
        return asset_response(request, await page.html() if wants_html else links, REVALIDATED, _HEADERS)

    return [read_root, page.files_route()]
