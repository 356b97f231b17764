"""The texts of the OpenAPI document's front page, its tags and its security schemes."""

from typing import Any

TITLE = "Sluice"
VERSION = "1"
SUMMARY = "Ingest messages from Pub/Sub; read records by time."
DESCRIPTION = """\
Sluice validates and stores records that Pub/Sub pushes or that are posted here, and serves them through this API.

**Reading.** `GET /v1/records?since=-PT1H` reads a window of `ingest_time`, oldest first. While `next_cursor` is not
null, the window has more: repeat the request with `cursor=<next_cursor>`. At the end of the window, keep
`resume_cursor`: a later request with it continues with newer records. A page may be short, even empty, while
`next_cursor` is set. Cursors are opaque, belong to the filters of their query, and grant no access. In every format
but JSON, the cursors are in the headers.

**Guarantees.** A client that follows the cursors sees each record exactly once, in one order, regardless of the number
of writers and deliveries. Windows end at the *settled horizon*, before which no new record can appear;
`freshness=latest` reads beyond it. A 2xx to a write means that the record is durable.

**Errors.** An error is a problem document (RFC 9457) with a stable `code`; `GET /v1/problems` lists all codes, with
advice for each. An unknown parameter is always an error. Within `/v1`, parameters and members of JSON documents may be
added, but none is removed or changes its meaning. Every GET endpoint also answers HEAD.\
"""
INFO: dict[str, Any] = {
    "title": TITLE,
    "version": VERSION,
    "summary": SUMMARY,
    "description": DESCRIPTION,
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TAGS: list[dict[str, Any]] = [
    {"name": "query", "description": "Read stored data: pages, single records, rejected records, and the schema."},
    {
        "name": "ingest",
        "description": "Store records: pushed by Pub/Sub, or posted. A 2xx means that they are durable.",
    },
    {"name": "erase", "description": "Delete a record for good, with its versions and what was rejected of it."},
    {"name": "operations", "description": "For operators: whether the process works, and whether it can serve."},
]
TOKEN, PUSH_TOKEN = "token", "pushToken"
SECURITY_SCHEMES: dict[str, Any] = {
    TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "A Google-signed ID token for the service's audience, of a principal with access; or an API key. "
            "An instance that listens on loopback only may need no token."
        ),
    },
    PUSH_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The ID token of the push subscription's service account, which may only push.",
    },
}
