"""The parameters of the endpoints, as the documentation and the errors show them."""

from app.query.params.collector import Parameter
from app.query.params.heartbeats import HEARTBEAT, HEARTBEAT_PARAMETER

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_WAIT_S = 30
COUNT_CAP = 10_000

WINDOW_PARAMETERS: dict[str, Parameter] = {
    "since": Parameter(
        "Start of the window, inclusive, on `ingest_time`: RFC 3339 with an offset, a negative ISO 8601 duration "
        "(`-PT15M`, `-P1DT2H`), or `now`. Digits after the sixth decimal of a second are dropped.",
        "-PT15M",
        {"type": "string", "default": "-PT1H"},
    ),
    "until": Parameter(
        "End of the window, exclusive, written as `since` is. Without it, and at most: the settled horizon, before "
        "which no record can appear any more.",
        "2026-01-31T12:00:00Z",
        {"type": "string"},
    ),
}
_FIELDS = Parameter(
    "Which fields to serve, in this order, with commas between them; `a.b` is the field `b` of the object `a`. "
    "Fewer fields cost less. Without it: all.",
    "id,ingest_time",
    {"type": "string"},
)
PAGE_PARAMETERS: dict[str, Parameter] = {
    **WINDOW_PARAMETERS,
    "cursor": Parameter(
        "Where to go on: a `next_cursor` (the same window) or a `resume_cursor` (whatever is new). It carries the "
        "window, so `since` and `until` are left out; filters are repeated as they were, the rest may change.",
        "the next_cursor of the page before",
        {"type": "string"},
    ),
    "limit": Parameter(
        f"Records per page, at least 1; more than {MAX_LIMIT} counts as {MAX_LIMIT}. `all` streams the rest of the "
        "window, as NDJSON (also where `format` is left out), CSV or Arrow; where such a stream fails, the connection "
        "breaks, so that what is incomplete does not look complete.",
        "500",
        {"type": "string", "pattern": "^([0-9]+|all)$", "default": str(DEFAULT_LIMIT)},
    ),
    "order": Parameter(
        "`asc`, oldest first, or `desc`.",
        "desc",
        {"type": "string", "enum": ["asc", "desc"], "default": "asc"},
    ),
    "fields": _FIELDS,
    "count": Parameter(
        "Whether to count the window's records that meet the filters: `none`; `capped`, which stops at "
        f"{COUNT_CAP}; or `exact`, which reads the whole window. With `limit=all` it is the records that follow, and "
        "told in the header `Sluice-Count`.",
        "capped",
        {"type": "string", "enum": ["none", "capped", "exact"], "default": "none"},
    ),
    "freshness": Parameter(
        "`settled`: records whose place in the order is final. `latest`: younger ones too; records may still come "
        "between them, so they are read again by the `resume_cursor`, which never passes what is settled.",
        "latest",
        {"type": "string", "enum": ["settled", "latest"], "default": "settled"},
    ),
    HEARTBEAT: HEARTBEAT_PARAMETER,
    "wait": Parameter(
        f"Seconds, up to {MAX_WAIT_S}, to wait for a first record where there is none yet (long polling). "
        "Who asks what somebody waits for already waits with them, and no longer.",
        "20",
        {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S, "default": 0},
    ),
    "format": Parameter(
        "`json`, one document; `ndjson`, one record a line; `csv`; or `arrow`, an Arrow IPC stream. The cursors are in "
        "headers, too. Goes before `Accept`.",
        "ndjson",
        {"type": "string", "enum": ["json", "ndjson", "csv", "arrow"]},
    ),
    "csv_guard": Parameter(
        "`true` puts an apostrophe before texts that a spreadsheet would take for a formula (CSV only).",
        "true",
        {"type": "boolean", "default": False},
    ),
    "end": Parameter(
        "`true` adds a closing line to `limit=all`, so that a reader of NDJSON or CSV knows it has everything, even "
        "after the stream was saved: "
        '`{"end": true, "records": 3, "resume_cursor": "…"}`, or a last record `#end,3,…` with as many cells as the '
        "others.",
        "true",
        {"type": "boolean", "default": False},
    ),
    "explain": Parameter(
        "`true` answers with what would be asked of the store, and what it would cost, instead of records.",
        "true",
        {"type": "boolean", "default": False},
    ),
}
RECORD_PARAMETERS: dict[str, Parameter] = {
    "versions": Parameter(
        "`latest`, the record alone, or `all`, every version of it, newest first.",
        "all",
        {"type": "string", "enum": ["latest", "all"], "default": "latest"},
    ),
    "fields": _FIELDS,
    HEARTBEAT: HEARTBEAT_PARAMETER,
}
