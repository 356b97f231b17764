"""Read and drop what a client still sends of a request that was answered early.

A client that writes its whole body before it reads anything never sees an answer whose connection is closed meanwhile:
the system resets a connection that is closed with bytes unread, and the client has a broken pipe instead of its 401 or
413. So an early answer is followed by reading on: so much, so long, and for so many clients at once.
"""

import asyncio
from typing import Any

from litestar.types import Receive

from app.clock import MICROSECONDS, Clock
from app.deadlines import Deadlines, TimeLimit

_MOST_AT_ONCE = 64
_LONGEST_S = 5.0
_BODIES = 2  # as much as so many of the largest that are accepted


class UnreadBodies:
    """Reads bodies that nobody wants; `max_body_bytes` is the size of the largest that would be accepted."""

    def __init__(self, clock: Clock, max_body_bytes: int) -> None:
        self._clock, self._max_bytes = clock, _BODIES * max_body_bytes
        self._deadlines: Deadlines[TimeLimit] = Deadlines(clock)
        self._is_closed = False

    async def discard(self, receive: Receive) -> None:
        """Read a body to its end, and keep nothing of it; a request without one, or that has ended, costs one look."""
        if self._is_closed or len(self._deadlines) >= _MOST_AT_ONCE:
            return
        limit, left = TimeLimit(), self._max_bytes
        self._deadlines.begin(limit, self._clock.elapsed_us() + round(_LONGEST_S * MICROSECONDS))
        try:
            while left > 0:
                event: Any = await receive()
                if event["type"] != "http.request" or not event.get("more_body"):
                    break
                left -= len(event.get("body", b""))
        except asyncio.CancelledError:
            if not limit.exceeded():
                raise
        finally:
            self._deadlines.end(limit)
            limit.exceeded()  # although it came: the server made nothing of the cancellation

    def close(self) -> None:
        """Read no more: the service stops."""
        self._is_closed = True
        for limit in self._deadlines.close():
            limit.overdue()
