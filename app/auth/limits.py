"""What a caller may use up: so many requests a minute, and bytes that the store bills for its reads in a day.

Requests are counted in fixed windows. The headers are those of
https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (version 10). A window is a minute of the clock,
so instances that share a count agree on it without coordination. At the turn of the minute a caller may briefly use
twice its limit: the limit is for fairness, not for safety (docs/decisions/0009).

BigQuery bills what a query read, and its estimate ignores clustering. So the bytes that the reads of this instance cost
are added up after the fact, three quarters of the limit for one caller. Once it is reached no further read is admitted
until the day (UTC) ends. Reads in progress are finished, so they may exceed it.
"""

import logging
from collections import Counter
from contextvars import Context, ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from litestar.types import Message, Scope

from app.auth.grants import Principal
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import BestEffort
from app.runtime.instants import DAY_US
from app.runtime.ledger import share_of_one
from app.settings.fields import MIB

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


_LEAST_BYTES = 10 * MIB  # BigQuery bills no query with less (https://cloud.google.com/bigquery/pricing)
_paying: ContextVar[str] = ContextVar("paying", default="")
"""The caller whose request this task works for; "" for the service's own reads. Tasks inherit it from their creator."""


def context_of_the_payer() -> Context:
    """Return a context for work that outlives its request: it knows nothing of it but who pays."""
    context = Context()
    context.run(_paying.set, _paying.get())
    return context


class ByteBudget:
    """Adds up what reads were billed, and admits reads while there is a budget left.

    `max_bytes` is for a day, 0 for no limit; `refusals` counts by whose budget is used up, `caller` or `instance`.
    """

    def __init__(self, max_bytes: int, clock: Clock, refusals: Counter[str]) -> None:
        self._max_bytes, self._clock, self._refusals = max_bytes, clock, refusals
        self._day, self._billed = 0, 0
        self._billed_to: Counter[str] = Counter()  # grants bound the number of callers

    def admit(self, principal: Principal) -> None:
        """Admit a read, whose queries are charged to `principal`.

        Raises:
            ProblemError: byte_budget_used_up.
        """
        _paying.set(principal.name)
        if not self._max_bytes:
            return
        into_us = self._turn_the_day()
        of_one = share_of_one(self._max_bytes)
        for whose, used, limit in (
            ("caller", self._billed_to[principal.name], of_one),
            ("instance", self._billed, self._max_bytes),
        ):
            if used >= limit:
                self._refusals[whose] += 1
                raise _used_up(whose, used, limit, retry_after_s=-(-(DAY_US - into_us) // MICROSECONDS))

    def charge(self, size: int) -> None:
        """Add the bytes that a query of the current task read; it is billed for 10 MB at least."""
        self._turn_the_day()
        size = max(size, _LEAST_BYTES)
        self._billed += size
        if caller := _paying.get():
            self._billed_to[caller] += size

    def _turn_the_day(self) -> int:
        """Forget what was billed before today; return how much of the day is over, in microseconds."""
        day, into_us = divmod(self._clock.now_us(), DAY_US)
        if day != self._day:
            self._day, self._billed = day, 0
            self._billed_to.clear()
        return into_us


def _used_up(whose: str, used: int, limit: int, retry_after_s: int) -> ProblemError:
    subject = "the caller's" if whose == "caller" else "this instance's"
    return ProblemError(
        "byte_budget_used_up",
        f"{subject} reads have used up the budget of {limit} bytes a day at the store: {used} were billed; try again "
        f"in {retry_after_s} s",
        members={"limit_bytes": limit, "used_bytes": used, "window_s": 86_400, "retry_after_s": retry_after_s},
        headers={"Retry-After": str(retry_after_s)},
    )
