"""Limit how often a principal may read, per minute, counted in fixed windows.

The headers are those of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (version 10). A window
is a minute of the clock, so instances that share a count agree on it without coordination. At the turn of the minute
a caller may briefly use twice its limit: the limit is for fairness, not for safety (docs/decisions/0009).
"""

import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from litestar.types import Message, Scope

from app.auth.grants import Principal
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import BestEffort

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

WINDOW_S = 60
_WINDOW_US = WINDOW_S * MICROSECONDS
_STATE = "rate_limit"  # in the request's state
ANSWER_WITHIN_S = 0.2  # Valkey
PAUSE_S = 5.0  # after a failure, only one request in this period tries Valkey
_log = logging.getLogger("sluice.access")


class RequestCount:
    """Counts the requests of principals in windows.

    With a `client` the count is in Valkey, one key per principal and window, which expires soon after the window.
    Without one, and while Valkey fails, this instance counts alone, as counting must not block requests: a caller may
    then use its full limit on every instance. Its own count holds one window; the configuration bounds the principals.
    """

    def __init__(self, clock: Clock, client: "Valkey | None" = None) -> None:
        self._client, self._window = client, 0
        self._counts: Counter[str] = Counter()
        self._service = BestEffort(clock, deadline_s=ANSWER_WITHIN_S, pause_s=PAUSE_S, warn=_warn)

    async def add(self, name: str, window: int) -> int:
        """Count one more request of `name` in `window`, a growing number, and return the new total."""
        if self._client is not None:
            shared = partial(self._add_shared, self._client, f"sluice:requests:{window}:{name}")
            if (requests := await self._service.call(shared)) is not None:
                return requests
        if window != self._window:
            self._window = window
            self._counts.clear()
        self._counts[name] += 1
        return self._counts[name]

    async def _add_shared(self, client: "Valkey", key: str) -> int:
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.incr(key)
            pipeline.expire(key, 2 * WINDOW_S)  # clocks differ a little
            requests, _ = await pipeline.execute()
        return int(requests)


class RateLimitStatus(msgspec.Struct, frozen=True):
    """A principal's limit, the requests it has made in this window, and the seconds until the count resets."""

    limit: int
    requests: int
    reset_s: int

    def check(self) -> None:
        """Refuse a request over the limit.

        Raises:
            ProblemError: rate_limited.
        """
        if self.requests > self.limit:
            raise ProblemError(
                "rate_limited",
                f"the caller exceeded its limit of {self.limit} read requests in {WINDOW_S} s; try again in "
                f"{self.reset_s} s",
                members={"limit": self.limit, "window_s": WINDOW_S, "retry_after_s": self.reset_s},
                headers={"Retry-After": str(self.reset_s)},
            )

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the rate limit headers."""
        left = max(self.limit - self.requests, 0)
        return [
            (b"ratelimit-policy", f'"default";q={self.limit};w={WINDOW_S}'.encode()),
            (b"ratelimit", f'"default";r={left};t={self.reset_s}'.encode()),
        ]


class RateLimit:
    """Counts and limits the requests of principals that have a limit."""

    def __init__(self, count: RequestCount, clock: Clock) -> None:
        self._count, self._clock = count, clock

    async def admit(self, principal: Principal, state: dict[str, Any]) -> None:
        """Count a request; leave the caller's RateLimitStatus in the request's `state`, for the response headers.

        Raises:
            ProblemError: rate_limited.
        """
        if principal.requests_per_minute is None:
            return
        window, into_us = divmod(self._clock.now_us(), _WINDOW_US)
        requests = await self._count.add(principal.name, window)
        reset_s = -(-(_WINDOW_US - into_us) // MICROSECONDS)  # rounded up: an earlier retry would fail
        status = state[_STATE] = RateLimitStatus(principal.requests_per_minute, requests, reset_s)
        status.check()


async def add_rate_limit_headers(message: Message, scope: Scope) -> None:
    """Add the headers to every response whose request was counted, problems included (`before_send`)."""
    status = scope["state"].get(_STATE)
    if message["type"] == "http.response.start" and status is not None:
        message["headers"] = [*message["headers"], *status.headers()]


def _warn(error: Exception) -> None:
    _log.warning(
        "Valkey (SLUICE_CACHE_URL) does not answer, so this instance counts requests on its own: %s",
        type(error).__name__,  # its text may contain the address with its password
    )
