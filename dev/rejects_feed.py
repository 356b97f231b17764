"""Read `GET /v1/rejects` to its end, following `next_cursor`."""

import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import msgspec

_PAGE = 200  # payloads may be megabytes
_TIMEOUT_S = 60


class RejectRow(msgspec.Struct, frozen=True):
    """The columns of the rejects table that a replay needs; JSON carries the payload in base64."""

    reason: str
    delivery_key: str
    payload: bytes = b""
    part: int = 0
    parts: int = 1
    attributes: dict[str, str] | None = None
    ordering_key: str | None = None


class _Page(msgspec.Struct, frozen=True):
    records: list[RejectRow]
    next_cursor: str | None = None


def read_rejects(service: str, token: str, since: str, until: str) -> Iterator[RejectRow]:
    """Yield every row of the window, oldest first.

    Raises:
        urllib.error.URLError: the service does not respond, or not with 200 (with its own explanation).
        ValueError: `service` is not an HTTP address, or the response is not a page of rejects.
    """
    if not service.startswith(("http://", "https://")):
        raise ValueError(f"{service!r} is not an http:// or https:// address")
    parameters = {"since": since, "limit": str(_PAGE)} | ({"until": until} if until else {})
    while True:
        page = _get(f"{service.rstrip('/')}/v1/rejects?{urllib.parse.urlencode(parameters)}", token)
        yield from page.records
        if page.next_cursor is None:
            return
        parameters = {"cursor": page.next_cursor, "limit": str(_PAGE)}


def _get(url: str, token: str) -> _Page:
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked by the caller
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310 - likewise
            body: bytes = response.read()
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(500).decode(errors="replace")
        raise urllib.error.URLError(f"HTTP {error.code} {said}") from error
    return msgspec.json.decode(body, type=_Page)
