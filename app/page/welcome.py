"""The JSON at `/`: links to everything, and what the page must know before it calls the API. Pure."""

from typing import Any

from app.openapi.about import SUMMARY, TITLE
from app.schema.example import example_record, template_record
from app.schema.table import Table
from app.settings.load import Settings
from app.version import VERSION

# How often the page polls: queries of the embedded store are free; BigQuery bills at least 10 MB for each query.
_REFRESH_S = {"embedded": 2, "bigquery": 30}
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


def welcome(settings: Settings, table: Table) -> dict[str, Any]:
    """Return the document; links are relative to `/`, so they also work behind a prefix.

    It contains no data and no secret: like the OpenAPI document, it is public. `example` is a record that the service
    stores as it is, for a newcomer's first request. If none could be derived it is null, and `template` is the shape of
    a record, with `<...>` for each value to fill in.
    """
    example = example_record(table)
    return {
        "name": TITLE,
        "version": VERSION,
        "summary": SUMMARY,
        "backend": settings.store.backend,
        "roles": list(settings.server.roles),
        "refresh_s": _REFRESH_S[settings.store.backend],
        "needs_key": bool(settings.auth.api_principals or settings.auth.grants_file),
        "example": example,
        "template": template_record(table) if example is None else None,
        "run_book": settings.server.run_book_url,
        "links": _FREE_LINKS | (_QUERY_LINKS if "query" in settings.server.roles else {}),
    }
