"""The tools that agents call, and the requests that a call makes. All of them only read."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Never
from urllib.parse import quote

import msgspec

from sluice_client.errors import ProblemError, SluiceError
from sluice_client.protocol.effects import Broken, Read, Request, Steps
from sluice_client.protocol.requests import OWN, Feed
from sluice_client.protocol.retry import Attempts, RetryPolicy, open_stream
from sluice_client.protocol.schema import read_roles
from sluice_client.protocol.states import state_of

MAX_RESULT_BYTES = 128 * 1024
"""The largest result of a call: some 30,000 tokens."""
DEFAULT_LIMIT, MAX_LIMIT = 20, 200
"""Records of a page. An agent reads every one, so they are few; `cursor` continues."""
PARAMETERS = OWN | {"as_of", "bucket", "by", "freshness", "heartbeat", "metric", "tombstones", "versions"}
"""Parameters of the API that are no filters, so `filters` must not contain them."""
_POLICY = RetryPolicy(patience_s=5.0)
_KIB = MAX_RESULT_BYTES // 1024
_LOOK_BACK_DAYS = 30

Arguments = Mapping[str, Any]
Texts = Steps[Never, list[str]]
"""The requests of a call, which return the JSON of the service and, where something is left out, a note."""


class ResultTooLargeError(SluiceError):
    """The response is larger than MAX_RESULT_BYTES; the text says how to ask for less."""


class Tool(msgspec.Struct, frozen=True):
    """A tool: its name and description, the names of its arguments, and the requests of a call."""

    name: str
    description: str
    arguments: tuple[str, ...]
    call: Callable[[Arguments], Texts]

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        properties = {name: _ARGUMENTS[name] for name in self.arguments}
        required = [name for name in self.arguments if name == "id"]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list_streams(_: Arguments) -> Texts:
    return [(yield from _whole("/v1/streams", (), "it cannot be narrowed"))]


def _get_schema(given: Arguments) -> Texts:
    return [(yield from _whole(f"{_feed(given).below}/schema", (), "name one `stream`"))]


def _query(given: Arguments, *, rejects: bool = False) -> Texts:
    return _page(Feed(given.get("stream", ""), rejects).path, _params(given), int(given.get("limit", DEFAULT_LIMIT)))


def _query_state(given: Arguments) -> Texts:
    return _page(state_of(_feed(given)).path, _params(given), int(given.get("limit", DEFAULT_LIMIT)))


def _get_statistics(given: Arguments) -> Texts:
    path, less = f"{_feed(given).path}/stats", "ask for longer buckets, fewer metrics or a shorter window"
    return [(yield from _whole(path, _params(given), less))]


def _get_record(given: Arguments) -> Texts:
    feed, record_id = _feed(given), given["id"]
    if record_id.strip("/") in {"", ".", "..", "stats", "tail"}:
        return (yield from _versions(feed, given))
    path = f"{feed.path}/{quote(record_id, safe='')}"
    return [(yield from _whole(path, _params(given), "name fewer `fields`, or ask for the latest version only"))]


def _versions(feed: Feed, given: Arguments) -> Texts:
    """Read a record by a filter, because its id in a path is another endpoint, or is normalized away."""
    name = (yield from read_roles(feed, _POLICY))["id"]
    if name is None:
        raise ValueError("the records of this stream have no id")
    limit = DEFAULT_LIMIT if given.get("versions") == "all" else 1
    params = [("order", "desc"), ("freshness", "latest"), (f"{name}.eq", given["id"])]
    params += [("fields", given["fields"])] if "fields" in given else []
    days, texts = _LOOK_BACK_DAYS, list[str]()
    while not texts:
        try:
            texts = yield from _page(feed.path, (("since", f"-P{days}D"), *params), limit)
        except ProblemError as error:
            longest_days = error.problem.members.get("max_window_days", 0)
            if not 1 < longest_days <= days:
                raise
            days = longest_days - 1
    older = f"This id can only be found by a filter; these are its newest versions of the last {days} days. "
    return [*texts, f'{older}query_records with `since`, `until` and the filter "{name}" finds older ones.']


def _feed(given: Arguments) -> Feed:
    return Feed(given.get("stream", ""))


def _params(given: Arguments) -> tuple[tuple[str, str], ...]:
    """Return the arguments that are parameters, and the filters.

    Raises:
        ValueError: a filter would be another parameter.
    """
    filters = given.get("filters", {})
    if wrong := sorted(PARAMETERS & set(filters)):
        raise ValueError(f"filters: not a filter: {', '.join(wrong)} (for a field of this name write {wrong[0]}.eq)")
    plain = {name: value for name, value in given.items() if name not in {"stream", "id", "filters", "limit"}}
    return tuple((name, _text(value)) for name, value in (plain | filters).items())


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _page(path: str, params: tuple[tuple[str, str], ...], limit: int) -> Texts:
    """Read a page; one that is too large is read again with fewer records, so that its cursor continues exactly."""
    fewer = limit
    while (text := (yield from _bounded(path, (*params, ("limit", str(fewer)))))) is None:
        if fewer == 1:
            raise ResultTooLargeError(f"one record has more than {_KIB} KiB: name fewer `fields`")
        fewer = max(1, fewer // 4)
    if fewer == limit:
        return [text]
    cut = f"Cut to {fewer} records, because a result has at most {_KIB} KiB. "
    return [text, f"{cut}`next_cursor` as the argument `cursor` continues; fewer `fields` make more records fit."]


def _whole(path: str, params: tuple[tuple[str, str], ...], less: str) -> Steps[Never, str]:
    text = yield from _bounded(path, params)
    if text is None:
        raise ResultTooLargeError(f"the result has more than {_KIB} KiB: {less}")
    return text


def _bounded(path: str, params: tuple[tuple[str, str], ...]) -> Steps[Never, str | None]:
    """Return a response, or None if it has more than MAX_RESULT_BYTES, of which no more is read.

    Raises:
        ProblemError, UnreachableError: the service refused the request; it did not answer.
    """
    # Uncompressed, so that a small chunk cannot become a large one.
    request = Request("GET", path, params, {"Accept": "application/json", "Accept-Encoding": "identity"})
    attempts = Attempts(_POLICY)
    while True:
        yield from open_stream(request, attempts)
        content = bytearray()
        while isinstance(chunk := (yield Read()), bytes):
            content += chunk
            if len(content) > MAX_RESULT_BYTES:
                return None
        if not isinstance(chunk, Broken):
            return content.decode()
        yield attempts.fail(chunk)


def _string(description: str, *words: str) -> dict[str, Any]:
    return {"type": "string", "description": description} | ({"enum": list(words)} if words else {})


_ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "stream": _string("The stream, if the service has several (list_streams); the default one if left out."),
    "id": _string("The record's id.") | {"minLength": 1},
    "since": _string(
        "Start of the window, on `ingest_time`: RFC 3339 with an offset, or a negative ISO 8601 duration such as "
        "-PT15M or -P7D. By default -PT1H."
    ),
    "until": _string("End of the window, in the format of `since`; by default the newest record that is settled."),
    "cursor": _string("A `next_cursor` or `resume_cursor`, without `since` and `until`; repeat the filters."),
    "as_of": _string("The moment of the state, in the format of `since`; by default now, as far as it is settled."),
    "order": _string("Oldest first, which is the default, or newest first.", "asc", "desc"),
    "fields": _string("The fields to return, separated by commas. Fewer cost less. By default all."),
    "count": _string("Whether to count all records of the window that match.", "none", "capped", "exact"),
    "freshness": _string("`latest`: also the youngest records, whose order may change.", "settled", "latest"),
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "description": f"Default: {DEFAULT_LIMIT}."},
    "versions": _string("The newest version, which is the default, or all.", "latest", "all"),
    "bucket": _string("The length of a bucket of time, such as PT5M, PT1H or P1D; by default about 120 buckets."),
    "by": _string("A field to group by; get_schema says which are `groupable`."),
    "metric": _string(
        "Separated by commas: count; sum:f, avg:f, min:f, max:f, p50:f or p95:f of an `aggregable` field f; "
        "count_distinct:f. By default count."
    ),
    "filters": {
        "type": "object",
        "description": "Only records that match all of these: a field, or `field.operator`, and its value, as in "
        '{"country": "NO", "total_cents.gte": 1000}. get_schema lists the fields and their operators.',
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
}
_PAGE = ("stream", "since", "until", "cursor", "order", "fields", "count", "freshness", "limit", "filters")
_STATISTICS = ("stream", "since", "until", "bucket", "by", "metric", "filters")
TOOLS = (
    Tool("list_streams", "List the streams; a service with one stream has no such list.", (), _list_streams),
    Tool(
        "get_schema",
        "Describe the records: every field with its type, its meaning, the operators of its filters, and whether it "
        "may be grouped or aggregated. Call it first.",
        ("stream",),
        _get_schema,
    ),
    Tool(
        "query_records",
        "Return records of a window of time, each once. `next_cursor` continues the window; `resume_cursor` returns "
        "later records.",
        _PAGE,
        _query,
    ),
    Tool(
        "query_state",
        "Return records as they are now, or were at a moment: of each id the latest version, unless it was deleted.",
        ("stream", "as_of", "cursor", "fields", "limit", "filters"),
        _query_state,
    ),
    Tool(
        "get_record",
        "Return the newest version of one record by its id, or all its versions.",
        ("stream", "id", "versions", "fields"),
        _get_record,
    ),
    Tool(
        "get_statistics",
        "Count records, or compute averages, extremes and percentiles of a field, over time and by group. Prefer it "
        "to reading records and counting.",
        _STATISTICS,
        _get_statistics,
    ),
    Tool(
        "list_rejects",
        "Return rejected records: the reason, the field, and the payload in base64. It needs the scope `rejects`.",
        _PAGE,
        partial(_query, rejects=True),
    ),
)
