"""What `/` says as JSON: where everything is, and what the page must know before it asks the API. Pure."""

from typing import Any

from app.openapi.about import SUMMARY, TITLE
from app.schema.example import example_record, template_record
from app.schema.table import Table
from app.settings.load import Settings
from app.version import VERSION

# How often the page asks: the embedded store costs nothing to ask; BigQuery bills each query, 10 MB at least.
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
    """Return the document; links are relative to `/`, so that they hold behind a prefix, too.

    It holds nothing of the data and no secret: everyone may see it, as with the OpenAPI document. `example` is a record
    that the service stores as it stands, for a newcomer's first request. Where none could be derived it is null, and
    `template` is the shape of a record, with `<...>` for each value that is to be filled in.
    """
    example = example_record(table)
    return {
        "name": TITLE,
        "version": VERSION,
        "summary": SUMMARY,
        "backend": settings.backend,
        "roles": list(settings.roles),
        "refresh_s": _REFRESH_S[settings.backend],
        "needs_key": bool(settings.api_principals or settings.grants_file),
        "example": example,
        "template": template_record(table) if example is None else None,
        "run_book": settings.run_book_url,
        "links": _FREE_LINKS | (_QUERY_LINKS if "query" in settings.roles else {}),
    }
