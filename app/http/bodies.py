"""Bodies: large ones in pieces, the unread rest of others, and why a response stops before its end.

A large body is sent in pieces, so that what a client does not read stays with whoever made it.

The server (Granian) copies what it is given, and keeps it until the client has read it. Of a body in pieces it takes
sixteen into its write buffer and four into a queue; the next one waits until the client reads. It does not say whether
anybody still reads, so that is watched while a large body is sent.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from litestar.types import Receive, Send

PIECE_BYTES = 8_192


def in_pieces(scope: Any, receive: Receive, send: Send) -> Send:
    """Wrap the `send` of a request to hand over a body of any size in pieces; the rest is dropped if its client leaves.

    If a body comes in several parts, whoever produces them watches for the disconnect.
    """

    async def sent(event: Any) -> None:
        body = event.get("body", b"") if event["type"] == "http.response.body" else b""
        if len(body) <= PIECE_BYTES:
            whole: Any = event if type(body) is bytes else {**event, "body": bytes(body)}
            await send(whole)
            return
        more = event.get("more_body", False)
        leaving = None if more else asyncio.create_task(disconnected(receive))
        try:
            for begin in range(0, len(body), PIECE_BYTES):
                if leaving is not None and leaving.done():
                    cut_short(scope, CLIENT_LEFT, logging.INFO)
                    return
                is_last = begin + PIECE_BYTES >= len(body)
                piece = bytes(body[begin : begin + PIECE_BYTES])
                await send({"type": "http.response.body", "body": piece, "more_body": more or not is_last})
        finally:
            if leaving is not None:
                leaving.cancel()

    return sent


async def disconnected(receive: Receive) -> None:
    """Wait until the client disconnects.

    The server says so through `receive`, after the body of the request, which is empty or no longer wanted here
    (https://asgi.readthedocs.io/en/stable/specs/www.html).
    """
    while (await receive())["type"] != "http.disconnect":
        pass


_LONGEST_S = 5.0


class UnreadBodies:
    """Reads on after an early answer: at most `max_bytes` of a body, for at most `longest_s` seconds."""

    def __init__(self, max_bytes: int, longest_s: float = _LONGEST_S) -> None:
        self._max_bytes, self._longest_s = max_bytes, longest_s
        self._limits: set[asyncio.Timeout] = set()

    async def discard(self, receive: Receive) -> None:
        """Read the rest of a body and drop it."""
        left = self._max_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(self._longest_s) as limit:
                self._limits.add(limit)
                try:
                    while left > 0:
                        event = await receive()
                        if event["type"] != "http.request" or not event.get("more_body", False):
                            break
                        left -= len(event.get("body", b""))
                finally:
                    self._limits.discard(limit)

    def close(self) -> None:
        """Stop reading: the service is shutting down."""
        self._longest_s = 0
        for limit in self._limits:
            limit.reschedule(0)


CLIENT_LEFT = "the client left"
STOPPING = "the service is stopping"
_STATE = "cut_short"  # in the request's state


def cut_short(scope: Any, reason: str, level: int = logging.WARNING) -> None:
    """Record why the response to the request of `scope` is not completed; the first reason counts."""
    scope.setdefault("state", {}).setdefault(_STATE, (level, reason))


def recorded_reason(scope: Any) -> tuple[int, str] | None:
    """Return the reason and the level to log it at, or None if there is none."""
    reason: tuple[int, str] | None = scope.get("state", {}).get(_STATE)
    return reason
