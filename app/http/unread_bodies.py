"""Discard the rest of a body whose request was answered early.

The kernel resets a connection that is closed with unread bytes. A client that writes its whole body before it reads
would then get a reset instead of its 401, 413 or 429, so the service reads on after an early answer, within limits.
"""

import asyncio
from contextlib import suppress

from litestar.types import Receive

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
                        if event["type"] != "http.request" or not event["more_body"]:
                            break
                        left -= len(event["body"])
                finally:
                    self._limits.discard(limit)

    def close(self) -> None:
        """Stop reading: the service is shutting down."""
        self._longest_s = 0
        for limit in self._limits:
            limit.reschedule(0)
