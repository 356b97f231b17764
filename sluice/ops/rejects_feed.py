"""Read `GET /v1/rejects`, or the rejects of one stream, to the end, following `next_cursor`."""

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from sluice.ops.smoke.client import Answer, Client, SmokeError

_PAGE = 200  # payloads may be megabytes


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


def read_streams(client: Client) -> list[str]:
    """Return the names of the service's streams; none if it stores a single type.

    Raises:
        SmokeError: the service does not respond, or not with 200 or 404 (with its own explanation).
        ValueError: the response is not a list of streams.
    """
    answer = client.get("/v1/streams")
    if answer.status == 404:
        return []
    return [each.name for each in msgspec.json.decode(_good(answer), type=_StreamList).streams]


def read_rejects(client: Client, since: str, until: str, stream: str = "") -> Iterator[RejectRow]:
    """Yield every row of the window, oldest first; those of `stream` only, if it is given.

    Raises:
        SmokeError: the service does not respond, or not with 200 (with its own explanation).
        ValueError: the response is not a page of rejects.
    """
    path = f"/v1/streams/{quote(stream, safe='')}/rejects" if stream else "/v1/rejects"
    parameters = {"since": since} | ({"until": until} if until else {})
    while True:
        answer = client.get(path, parameters | {"limit": str(_PAGE)}, timeout_s=60)
        page = msgspec.json.decode(_good(answer), type=_Page)
        yield from page.records
        if page.next_cursor is None:
            return
        parameters = {"cursor": page.next_cursor}


def _good(answer: Answer) -> bytes:
    if answer.status != 200:
        raise SmokeError(f"HTTP {answer.status} {answer.body[:500].decode(errors='replace')}")
    return answer.body
