"""A request of the API, made within this process as the caller of another."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from litestar import Litestar

from app.auth.read_slots import leave

MAX_ANSWER_BYTES = 256 * 1024
"""The most of an answer that is passed on: some 60,000 tokens, more than most agents can read at once."""
_OF_THE_OUTER = frozenset(
    {
        *(b"accept", b"accept-encoding", b"content-length", b"content-type", b"expect", b"if-none-match"),
        *(b"last-event-id", b"mcp-protocol-version", b"mcp-session-id", b"range", b"transfer-encoding"),
    }
)
"""Headers that say how the outer request is sent and answered. The others name the caller, and its address."""


class TooLargeError(Exception):
    """The answer is larger than MAX_ANSWER_BYTES."""


class Reply(msgspec.Struct, frozen=True):
    """The answer: its status, its headers in lower case, and its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(app: Litestar, outer: Mapping[str, Any], path: str, query: str) -> Reply:
    """Return the answer to a GET that the caller of the `outer` request could have sent itself.

    Raises:
        TooLargeError: it is larger than is passed on; the rest was not made.
    """
    taking = _Taking()
    scope = {
        "type": "http",
        "asgi": outer["asgi"],
        "http_version": outer["http_version"],
        "method": "GET",
        "scheme": outer["scheme"],
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [*_kept(outer["headers"]), (b"accept", b"application/json")],
        "client": outer.get("client"),
        "server": outer.get("server"),
        "extensions": {},
        "state": {},
    }
    try:
        await app(scope, taking.receive, taking.send)  # type: ignore[arg-type]
    finally:
        leave(scope)
    if taking.is_too_large:
        raise TooLargeError
    return Reply(taking.status, taking.headers, bytes(taking.body))


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_THE_OUTER]


class _Taking:
    """The other side of the request: without a body, and with an answer that is kept."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 500, dict[str, str](), bytearray()
        self._has_asked, self._is_over = False, asyncio.Event()

    @property
    def is_too_large(self) -> bool:
        return len(self.body) > MAX_ANSWER_BYTES

    async def receive(self) -> dict[str, Any]:
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._is_over.wait()  # a listener for the end must not be told of the request again
        return {"type": "http.disconnect"}

    async def send(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            self.status = event["status"]
            self.headers = {name.decode().lower(): value.decode("latin-1") for name, value in event["headers"]}
        elif event["type"] == "http.response.body" and not self.is_too_large:
            self.body += event.get("body", b"")
            if self.is_too_large or not event.get("more_body", False):
                self._is_over.set()
