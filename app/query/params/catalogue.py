"""The parameters of the query endpoints: each declared once, to parse requests, report errors and make the document."""

import math
import re

from app.http.contract import TEXT, Parameter
from app.query.params.buckets import AUTO_BUCKETS, MAX_BUCKETS, parse_length
from app.query.params.collector import flag, one_of
from app.query.params.values import read_number

MAX_LIMIT = 1000
DEFAULT_LIMIT = 100
MAX_WAIT_S = 30
COUNT_CAP = 10_000
MAX_GROUPS = 50
MAX_METRICS = 8
DELAY = "delay"
"""The field that is computed, not stored: seconds from `publish_time` to `ingest_time`."""
CANARY = "heartbeat"
LAST_EVENT_ID = "Last-Event-ID"


def _limit(text: str) -> int | None:
    if text == "all":
        return None
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(f"expected a whole number from 1 to {MAX_LIMIT}, or all")
    if text.startswith("-") or not text.strip("0"):
        raise ValueError("at least 1")
    digits = text.lstrip("0")
    return MAX_LIMIT if len(digits) > 9 else min(int(digits), MAX_LIMIT)


def _wait(text: str) -> float:
    try:
        seconds = read_number(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_WAIT_S:
        raise ValueError(f"expected seconds, from 0 to {MAX_WAIT_S}")
    return seconds


WINDOW_PARAMETERS: dict[str, Parameter] = {
    "since": Parameter(
        "Start of the window, inclusive, on `ingest_time`: RFC 3339 with an offset, a negative ISO 8601 duration "
        "(`-PT15M`, `-P1DT2H`), or `now`. Digits after the sixth decimal of a second are dropped.",
        "-PT15M",
        TEXT,
        default="-PT1H",
        defers=True,
    ),
    "until": Parameter(
        "End of the window, exclusive, written as `since` is. Without it, and at most: the settled horizon, before "
        "which no record can appear any more.",
        "2026-01-31T12:00:00Z",
        TEXT,
    ),
}
_FIELDS = Parameter(
    "Which fields to serve, in this order, with commas between them; `a.b` is the field `b` of the object `a`. "
    "Fewer fields cost less. Without it: all.",
    "id,ingest_time",
    TEXT,
)
_CANARY = one_of(
    "Whether canaries are among the records: those that an operator publishes to measure the way through the "
    "service, marked by a signed message attribute, `sluice-heartbeat`. `exclude` leaves them out, `include` has "
    "them, `only` has nothing else.",
    "exclude",
    "include",
    "only",
    example="include",
    default="exclude",
)
PAGE_PARAMETERS: dict[str, Parameter] = {
    **WINDOW_PARAMETERS,
    "cursor": Parameter(
        "Where to go on: a `next_cursor` (the same window) or a `resume_cursor` (whatever is new). It carries the "
        "window, so `since` and `until` are left out; filters are repeated as they were, the rest may change.",
        "the next_cursor of the page before",
        TEXT,
    ),
    "limit": Parameter(
        f"Records per page, at least 1; more than {MAX_LIMIT} counts as {MAX_LIMIT}. `all` streams the rest of the "
        "window, as NDJSON (also where `format` is left out), CSV or Arrow; where such a stream fails, the connection "
        "breaks, so that what is incomplete does not look complete.",
        "500",
        {"type": "string", "pattern": "^([0-9]+|all)$"},
        default=str(DEFAULT_LIMIT),
        read=_limit,
    ),
    "order": one_of(
        "`asc`, oldest first, or `desc`.",
        "asc",
        "desc",
        example="desc",
        default="asc",
        defers=True,
    ),
    "fields": _FIELDS,
    "count": one_of(
        "Whether to count the window's records that meet the filters: `none`; `capped`, which stops at "
        f"{COUNT_CAP}; or `exact`, which reads the whole window. With `limit=all` it is the records that follow, and "
        "told in the header `Sluice-Count`.",
        "none",
        "capped",
        "exact",
        example="capped",
        default="none",
    ),
    "freshness": one_of(
        "`settled`: records whose place in the order is final. `latest`: younger ones too; records may still come "
        "between them, so they are read again by the `resume_cursor`, which never passes what is settled.",
        "settled",
        "latest",
        example="latest",
        default="settled",
    ),
    CANARY: _CANARY,
    "wait": Parameter(
        f"Seconds, up to {MAX_WAIT_S}, to wait for a first record where there is none yet (long polling). "
        "Who asks what somebody waits for already waits with them, and no longer.",
        "20",
        {"type": "number", "minimum": 0, "maximum": MAX_WAIT_S},
        default="0",
        read=_wait,
    ),
    "format": one_of(
        "`json`, one document; `ndjson`, one record a line; `csv`; or `arrow`, an Arrow IPC stream. The cursors are in "
        "headers, too. Goes before `Accept`.",
        "json",
        "ndjson",
        "csv",
        "arrow",
        example="ndjson",
    ),
    "csv_guard": flag(
        "`true` puts an apostrophe before texts that a spreadsheet would take for a formula (CSV only).",
    ),
    "end": flag(
        "`true` adds a closing line to `limit=all`, so that a reader of NDJSON or CSV knows it has everything, even "
        "after the stream was saved: "
        '`{"end": true, "records": 3, "resume_cursor": "…"}`, or a last record `#end,3,…` with as many cells as the '
        "others.",
    ),
    "explain": flag(
        "`true` answers with what would be asked of the store, and what it would cost, instead of records.",
    ),
}
RECORD_PARAMETERS: dict[str, Parameter] = {
    "versions": one_of(
        "`latest`, the record alone, or `all`, every version of it, newest first.",
        "latest",
        "all",
        example="all",
        default="latest",
    ),
    "fields": _FIELDS,
    CANARY: _CANARY,
}
STATS_PARAMETERS: dict[str, Parameter] = {
    **WINDOW_PARAMETERS,
    "bucket": Parameter(
        "How long each bucket is: an ISO 8601 duration of a second or more, such as `PT5M`, `PT1H` or `P1D`; or "
        f"`auto`, the shortest round one that makes about {AUTO_BUCKETS - 1} buckets at most. There may be "
        f"{MAX_BUCKETS}. Buckets are aligned to 1970-01-01T00:00:00Z: hours begin on the hour, days at midnight in "
        "UTC, weeks on Thursdays. The first may so begin before `since`; only records of the window count.",
        "PT5M",
        TEXT,
        default="auto",
        read=lambda text: None if text == "auto" else parse_length(text),
    ),
    "by": Parameter(
        f"A field to group by: a series for each of its values, for the {MAX_GROUPS} with the most records; how many "
        "more there are is said in `omitted_groups`. `a.b` is the field `b` of the object `a`. Without it: one series.",
        "source",
        TEXT,
    ),
    "metric": Parameter(
        f"What to compute for each bucket, with commas between them, at most {MAX_METRICS}: `count`, the number of "
        "records; or of a numeric field `f`, where it has a value, `avg:f`, `min:f`, `max:f`, `p50:f` (the median) or "
        "`p95:f`. Besides the fields there is `delay`, the seconds from `publish_time` to `ingest_time`, which records "
        "that came over HTTP do not have; where the record type has a field of this name, it means that. Percentiles "
        "are approximate: in the embedded store they are out by two per cent of the records at most, or by one "
        "record, so that `p95` lies between the exact 93rd and 97th percentile; BigQuery, which is usually nearer, "
        "names no limit.",
        f"count,p95:{DELAY}",
        TEXT,
        default="count",
    ),
    CANARY: _CANARY,
}
TAIL_PARAMETERS: dict[str, Parameter] = {
    "since": Parameter(
        "Where to begin, inclusive, on `ingest_time`: RFC 3339 with an offset, a negative ISO 8601 duration "
        "(`-PT15M`), or `now`, which means what is stored from now on.",
        "-PT15M",
        TEXT,
        default="now",
        defers=True,
    ),
    "cursor": Parameter(
        "A `resume_cursor`, or the `id` of an event, to go on behind it: then `since` is left out, and filters are "
        "repeated as they were.",
        "the resume_cursor of a page",
        TEXT,
    ),
    "fields": _FIELDS,
    CANARY: _CANARY,
}
LAST_EVENT_ID_PARAMETER = Parameter(
    "The `id` of the last event that was received, which browsers send by themselves when they connect again: the "
    "stream goes on behind it. Goes before `since` and `cursor`.",
    "the id of an event",
    TEXT,
    location="header",
)
