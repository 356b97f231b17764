"""One request count for all instances, in Valkey; each instance counts alone while Valkey does not respond."""

import logging
from typing import TYPE_CHECKING

from app.auth.rate_limit import WINDOW_S, OwnCount, RequestCount
from app.runtime.best_effort import BestEffort
from app.runtime.clock import Clock

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

ANSWER_WITHIN_S = 0.2
PAUSE_S = 5.0  # after a failure, only one request in this period tries Valkey
_log = logging.getLogger("sluice.access")


def request_count(client: "Valkey | None", clock: Clock) -> RequestCount:
    """Return the count in Valkey, or this instance's own if there is no Valkey."""
    return OwnCount() if client is None else SharedCount(client, clock)


class SharedCount:
    """Counts in Valkey: one key per principal and window, which expires soon after the window.

    While Valkey fails, this instance counts alone, as counting must not block requests. A caller may then use its full
    limit on every instance.
    """

    def __init__(self, client: "Valkey", clock: Clock) -> None:
        self._client, self._own = client, OwnCount()
        self._service = BestEffort(clock, deadline_s=ANSWER_WITHIN_S, pause_s=PAUSE_S, warn=_warn)

    async def add(self, name: str, window: int) -> int:
        """Count one more request."""
        requests = await self._service.call(lambda: self._count(f"sluice:requests:{window}:{name}"))
        return await self._own.add(name, window) if requests is None else requests

    async def _count(self, key: str) -> int:
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 2 * WINDOW_S)  # clocks differ a little
            requests, _ = await pipeline.execute()
        return int(requests)


def _warn(error: Exception) -> None:
    _log.warning(
        "Valkey (SLUICE_CACHE_URL) does not answer, so this instance counts requests on its own: %s",
        type(error).__name__,  # its text may contain the address with its password
    )
