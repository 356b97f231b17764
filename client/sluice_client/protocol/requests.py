"""A feed, and the request for each of its endpoints."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

import msgspec

from sluice_client.protocol.effects import Request

PAGE_RECORDS = 1_000
"""The largest page that the service serves."""
_SLOWEST_PAGE_S = 60.0
_EXPORT_STALL_S = 120.0
_TAIL_STALL_S = 45.0  # a comment arrives every 15 s
OWN = frozenset(
    {"count", "csv_guard", "cursor", "end", "explain", "fields", "format", "limit", "order", "since", "until", "wait"}
)
"""Parameters of a feed that are no filters."""


class Feed(msgspec.Struct, frozen=True):
    """Which records: of the default stream, of another one, or its rejected records; and only those that match.

    `filters` are parameters of the API: `{"source": "checkout", "data.total.gte": "10"}`. `state`:
    their latest versions, which the client itself asks for. `erasures`: which records were erased, instead of any.
    """

    stream: str = ""
    rejects: bool = False
    filters: Mapping[str, str] = {}
    state: bool = False
    erasures: bool = False

    def __post_init__(self) -> None:
        """Refuse what would contradict the parameters that the client sends itself."""
        if own := sorted(OWN & set(self.filters)):
            raise ValueError(f"not a filter: {', '.join(own)}")

    @property
    def below(self) -> str:
        """The path of the stream's endpoints."""
        return f"/v1/streams/{quote(self.stream, safe='')}" if self.stream else "/v1"

    @property
    def path(self) -> str:
        """The path of the feed."""
        choice = {"rejects": self.rejects, "state": self.state, "erasures": self.erasures}
        return f"{self.below}/{next((name for name, is_chosen in choice.items() if is_chosen), 'records')}"

    @property
    def table(self) -> str:
        """The name of a table for it."""
        if self.rejects:
            return f"{self.stream}_rejects" if self.stream else "rejects"
        return self.stream or "records"

    def key(self, url: str) -> str:
        """Return what identifies the feed: a cursor of another key is of no use."""
        query = urlencode(sorted(self.filters.items()))
        return f"{url.rstrip('/')}{self.path}" + (f"?{query}" if query else "")


class Range(msgspec.Struct, frozen=True):
    """Where to read: from a cursor, or a window of `ingest_time` or the moment of a state, in the API's forms."""

    since: str = ""
    until: str = ""
    cursor: str = ""
    as_of: str = ""

    def params(self) -> list[tuple[str, str]]:
        """Return the parameters: a cursor already contains the others."""
        if self.cursor:
            return [("cursor", self.cursor)]
        given = {"since": self.since, "until": self.until, "as_of": self.as_of}
        return [(name, value) for name, value in given.items() if value]


def _params(
    feed: Feed, where: Range, fields: Sequence[str], more: Sequence[tuple[str, str]] = ()
) -> tuple[tuple[str, str], ...]:
    chosen = [("fields", ",".join(fields))] if fields else []
    return (*feed.filters.items(), *where.params(), *chosen, *more)


def page_request(
    feed: Feed, where: Range, *, fields: Sequence[str] = (), wait_s: int = 0, order: str = "", format_name: str = ""
) -> Request:
    """Return the request for a page, which waits up to `wait_s` for a first record."""
    more = [("limit", str(PAGE_RECORDS))]
    more += [("wait", str(wait_s))] if wait_s else []
    more += [("order", order)] if order and not where.cursor else []
    more += [("format", format_name)] if format_name else []
    params = _params(feed, where, fields, more)
    return Request("GET", feed.path, params, {"Accept": "application/json"}, read_timeout_s=_SLOWEST_PAGE_S + wait_s)


def export_request(feed: Feed, where: Range, format_name: str, *, fields: Sequence[str] = ()) -> Request:
    """Return the request for a whole window. Arrow has an end of its own; the others get a closing line."""
    more = [("limit", "all"), ("format", format_name)] + ([("end", "true")] if format_name != "arrow" else [])
    return Request("GET", feed.path, _params(feed, where, fields, more), read_timeout_s=_EXPORT_STALL_S)


def tail_request(feed: Feed, where: Range, *, fields: Sequence[str] = (), last_event_id: str = "") -> Request:
    """Return the request for the tail; with `last_event_id` it continues right after that event."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    begin = Range() if last_event_id else where
    return Request("GET", f"{feed.path}/tail", _params(feed, begin, fields), headers, read_timeout_s=_TAIL_STALL_S)


def schema_request(feed: Feed) -> Request:
    """Return the request for the columns."""
    return Request("GET", f"{feed.below}/schema", headers={"Accept": "application/json"})


def publish_request(feed: Feed, body: bytes, idempotency_key: str) -> Request:
    """Return the request that sends a body of records."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key}
    return Request("POST", feed.path, headers=headers, content=body)
