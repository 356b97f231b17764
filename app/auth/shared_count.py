"""One request count for all instances, in Valkey; each instance counts alone while Valkey does not respond."""

import asyncio
import logging
from typing import TYPE_CHECKING

from app.auth.rate_limit import WINDOW_S, OwnCount, RequestCount
from app.runtime.clock import MICROSECONDS, Clock

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

ANSWER_WITHIN_S = 0.2
PAUSE_S = 5.0  # after a failure, only one request in this period tries Valkey
SAY_EVERY_S = 60.0
_log = logging.getLogger("sluice.access")


def request_count(client: "Valkey | None", clock: Clock) -> RequestCount:
    """Return the count in Valkey, or this instance's own if there is no Valkey."""
    return OwnCount() if client is None else FailSafeCount(ValkeyCount(client), clock)


class ValkeyCount:
    """Counts in Valkey: one key per principal and window, which expires soon after the window."""

    def __init__(self, client: "Valkey") -> None:
        self._client = client

    async def add(self, name: str, window: int) -> int:
        """Count one more request."""
        key = f"sluice:requests:{window}:{name}"
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 2 * WINDOW_S)  # clocks differ a little
            requests, _ = await pipeline.execute()
        return int(requests)


class FailSafeCount:
    """Uses the shared count, and falls back to this instance's own while it fails: counting must not block requests.

    During the fallback a caller may use its full limit on every instance.
    """

    def __init__(self, shared: RequestCount, clock: Clock) -> None:
        self._shared, self._own, self._clock = shared, OwnCount(), clock
        self._ask_again_us: int | None = None  # None while the shared count works
        self._say_again_us = 0

    async def add(self, name: str, window: int) -> int:
        """Count one more request."""
        now_us = self._clock.elapsed_us()
        if self._ask_again_us is not None:
            if now_us < self._ask_again_us:
                return await self._own.add(name, window)
            self._ask_again_us = now_us + round(PAUSE_S * MICROSECONDS)  # concurrent requests do not wait too
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                requests = await self._shared.add(name, window)
        except Exception as error:  # whatever the client raises, the request is served
            self._ask_again_us = now_us + round(PAUSE_S * MICROSECONDS)
            self._say(error, now_us)
            return await self._own.add(name, window)
        self._ask_again_us = None
        return requests

    def _say(self, error: Exception, now_us: int) -> None:
        if now_us >= self._say_again_us:
            self._say_again_us = now_us + round(SAY_EVERY_S * MICROSECONDS)
            _log.warning(
                "requests are counted by this instance alone: Valkey (SLUICE_CACHE_URL) does not answer: %s",
                type(error).__name__,  # its text may contain the address with its password
            )
