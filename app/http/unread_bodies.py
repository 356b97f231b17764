"""Discard the rest of a body whose request was answered early.

The kernel resets a connection that is closed with unread bytes. A client that writes its whole body before it reads
would then get a broken pipe instead of its 401 or 413. So the service reads on after an early answer, within limits on
bytes, time and clients.
"""

from contextlib import suppress
from typing import Any

from litestar.types import Receive

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import Deadlines, TimeLimit

_MOST_AT_ONCE = 64
_LONGEST_S = 5.0
_BODIES = 2  # the limit on bytes, in bodies of the largest size that is accepted


class UnreadBodies:
    """Discards bodies that are no longer needed; `max_body_bytes` is the size of the largest that is accepted."""

    def __init__(self, clock: Clock, max_body_bytes: int) -> None:
        self._clock, self._max_bytes = clock, _BODIES * max_body_bytes
        self._deadlines: Deadlines[TimeLimit] = Deadlines(clock)
        self._is_closed = False

    async def discard(self, receive: Receive) -> None:
        """Read the rest of a body and drop it; call `receive` once if nothing is left of it."""
        if self._is_closed or len(self._deadlines) >= _MOST_AT_ONCE:
            return
        left, due_us = self._max_bytes, self._clock.elapsed_us() + round(_LONGEST_S * MICROSECONDS)
        with suppress(TimeoutError), TimeLimit(self._deadlines, due_us):
            while left > 0:
                event: Any = await receive()
                if event["type"] != "http.request" or not event.get("more_body"):
                    break
                left -= len(event.get("body", b""))

    def close(self) -> None:
        """Stop reading: the service is shutting down."""
        self._is_closed = True
        for limit in self._deadlines.close():
            limit.overdue()
