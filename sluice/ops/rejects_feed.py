"""Read `GET /v1/rejects`, or the rejects of one stream, to the end, following `next_cursor`."""

import http
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import msgspec

_PAGE = 200  # payloads may be megabytes
_TIMEOUT_S = 60


class NotFoundError(urllib.error.URLError):
    """The service has no such path."""


class RejectRow(msgspec.Struct, frozen=True):
    """The columns of the rejects table that a replay needs; JSON carries the payload in base64."""

    reason: str
    delivery_key: str
    payload: bytes = b""
    part: int = 0
    parts: int = 1
    attributes: dict[str, str] | None = None
    ordering_key: str | None = None
    stream: str | None = None


class _StreamName(msgspec.Struct, frozen=True):
    name: str


class _StreamList(msgspec.Struct, frozen=True):
    streams: list[_StreamName]


class _Page(msgspec.Struct, frozen=True):
    records: list[RejectRow]
    next_cursor: str | None = None


def read_streams(service: str, token: str) -> list[str]:
    """Return the names of the service's streams; none if it stores a single type.

    Raises:
        urllib.error.URLError: the service does not respond, or not with 200 or 404 (with its own explanation).
        ValueError: `service` is not an HTTP address, or the response is not a list of streams.
    """
    try:
        body = _get(_url(service, "/v1/streams"), token)
    except NotFoundError:
        return []
    return [each.name for each in msgspec.json.decode(body, type=_StreamList).streams]


def read_rejects(service: str, token: str, since: str, until: str, stream: str = "") -> Iterator[RejectRow]:
    """Yield every row of the window, oldest first; those of `stream` only, if it is given.

    Raises:
        urllib.error.URLError: the service does not respond, or not with 200 (with its own explanation).
        ValueError: `service` is not an HTTP address, or the response is not a page of rejects.
    """
    url = _url(service, f"/v1/streams/{urllib.parse.quote(stream, safe='')}/rejects" if stream else "/v1/rejects")
    parameters = {"since": since, "limit": str(_PAGE)} | ({"until": until} if until else {})
    while True:
        page = msgspec.json.decode(_get(f"{url}?{urllib.parse.urlencode(parameters)}", token), type=_Page)
        yield from page.records
        if page.next_cursor is None:
            return
        parameters = {"cursor": page.next_cursor, "limit": str(_PAGE)}


def _url(service: str, path: str) -> str:
    if not service.startswith(("http://", "https://")):
        raise ValueError(f"{service!r} is not an http:// or https:// address")
    return f"{service.rstrip('/')}{path}"


def _get(url: str, token: str) -> bytes:
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - likewise
            body: bytes = response.read()
    except urllib.error.HTTPError as error:
        with error:
            response_text = error.read(500).decode(errors="replace")
        failure = NotFoundError if error.code == http.HTTPStatus.NOT_FOUND else urllib.error.URLError
        raise failure(f"HTTP {error.code} {response_text}") from error
    return body
