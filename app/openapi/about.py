"""The texts of the OpenAPI document's front page, its tags and its security schemes."""

from typing import Any

TITLE = "Sluice"
VERSION = "1"
SUMMARY = "Messages in from Pub/Sub, records out by time."
DESCRIPTION = """\
Records that arrive (pushed by Pub/Sub, or posted here) are checked and stored; this API serves them again.

**Reading.** `GET /v1/records?since=-PT1H` reads a window of `ingest_time`, oldest first. While `next_cursor` is not
null there is more of the window: ask again with `cursor=<next_cursor>`. At the window's end, keep `resume_cursor`:
asked for later, it goes on with whatever is new. A page may be short, even empty, while `next_cursor` is set. Cursors
are opaque, belong to the filters they were made with, and grant no access. In every format but JSON, they stand in
the headers.

**What is promised.** Who follows the cursors sees each record exactly once, in one order, however many writers there
are and however often a message was delivered. Windows end at the *settled horizon*, before which no record can appear
any more; `freshness=latest` looks beyond it. A 2xx to a write means that the record is durable.

**When something is wrong** the answer is a problem document (RFC 9457) with a stable `code`; `GET /v1/problems` lists
them all, with what to do. An unknown parameter is an error, never without effect. Within `/v1`, parameters and members
of JSON documents are added, but none is removed or changes its meaning. Every GET answers HEAD, too.\
"""
INFO: dict[str, Any] = {
    "title": TITLE,
    "version": VERSION,
    "summary": SUMMARY,
    "description": DESCRIPTION,
    "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
}
TAGS: list[dict[str, Any]] = [
    {"name": "query", "description": "Read the store: pages, single records, rejected records, and the schema."},
    {"name": "ingest", "description": "Store records: pushed by Pub/Sub, or posted. A 2xx means durable."},
    {"name": "erase", "description": "Delete a record for good, with its versions and what was rejected of it."},
    {"name": "operations", "description": "For operators: liveness and readiness."},
]
TOKEN, PUSH_TOKEN = "token", "pushToken"
SECURITY_SCHEMES: dict[str, Any] = {
    TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "description": (
            "A Google-signed ID token with the service's audience, of a principal that is on the list; or an API key. "
            "An instance that answers its own machine only may be open: then no token is needed."
        ),
    },
    PUSH_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The ID token of the push subscription's service account, which may only push.",
    },
}
