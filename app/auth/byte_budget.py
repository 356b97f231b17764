"""Limit how many bytes the store bills for the reads of a caller and of this instance, in an hour and in a day.

BigQuery bills what a query read, and its estimate ignores clustering. So budgets are kept after the fact: what each
query read is added up, and once a budget is used up no further read is admitted until its window ends. Windows are
hours and days of the clock (UTC). Reads in progress are finished, so they may exceed a budget.
"""

import logging
from collections import Counter
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.auth.principal import Principal
from app.http.problems import ProblemError
from app.runtime.best_effort import BestEffort
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import DAY_US, HOUR_US
from app.settings.query import QuerySettings

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

Whose = Literal["caller", "instance"]
STATE = "byte_budget"  # in the request's state
_WINDOWS_US = {"hour": HOUR_US, "day": DAY_US}
_ANSWER_WITHIN_S, _PAUSE_S = 0.2, 5.0
_log = logging.getLogger("sluice.access")
_paying: ContextVar[str] = ContextVar("paying", default="")
"""The caller whose request this task works for; "" for the service's own reads. Tasks inherit it from their creator."""


class Budget(msgspec.Struct, frozen=True):
    """How many bytes may be billed in a window; `name` is "hour" or "day"."""

    whose: Whose
    name: str
    limit: int

    @property
    def window_us(self) -> int:
        """The length of the window."""
        return _WINDOWS_US[self.name]


class BudgetStatus(msgspec.Struct, frozen=True):
    """How much of a budget is used, and the seconds until its window ends."""

    budget: Budget
    used: int
    reset_s: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the rate limit headers of a caller's budget, in bytes."""
        policy, window_s = f'"bytes-per-{self.budget.name}"', self.budget.window_us // MICROSECONDS
        left = max(self.budget.limit - self.used, 0)
        return [
            (b"ratelimit-policy", f"{policy};q={self.budget.limit};w={window_s}".encode()),
            (b"ratelimit", f"{policy};r={left};t={self.reset_s}".encode()),
        ]

    def check(self) -> None:
        """Refuse a read once nothing is left.

        Raises:
            ProblemError: byte_budget_used_up.
        """
        if self.used < self.budget.limit:
            return
        whose = {"caller": "the caller's", "instance": "this instance's"}[self.budget.whose]
        raise ProblemError(
            "byte_budget_used_up",
            f"{whose} reads have used up the budget of {self.budget.limit} bytes a {self.budget.name} at the store: "
            f"{self.used} were billed; try again in {self.reset_s} s",
            members={
                "limit_bytes": self.budget.limit,
                "used_bytes": self.used,
                "window_s": self.budget.window_us // MICROSECONDS,
                "retry_after_s": self.reset_s,
            },
            headers={"Retry-After": str(self.reset_s)},
        )


class ByteBudget:
    """Adds up what reads were billed, and admits reads while there is a budget left. It is for one event loop.

    The budgets of a caller are shared through `server`, a Valkey, if there is one; `refusals` counts by whose they are.
    """

    def __init__(self, settings: QuerySettings, clock: Clock, server: "Valkey | None", refusals: Counter[str]) -> None:
        budgets = (
            Budget("caller", "hour", settings.caller_bytes_per_hour),
            Budget("caller", "day", settings.caller_bytes_per_day),
            Budget("instance", "hour", settings.instance_bytes_per_hour),
            Budget("instance", "day", settings.instance_bytes_per_day),
        )
        self._budgets = tuple(budget for budget in budgets if budget.limit)
        self._clock, self._refusals = clock, refusals
        self._sums: dict[tuple[Budget, str], tuple[int, int]] = {}
        """By budget and caller: the number of the window, and the bytes in it. Grants bound the number of callers."""
        self._shared = None if server is None else _SharedSums(server, clock)

    def admit(self, principal: Principal, state: dict[str, Any]) -> None:
        """Admit a read, whose queries are charged to `principal`; leave its budgets in the request's `state`.

        Raises:
            ProblemError: byte_budget_used_up.
        """
        _paying.set(principal.name)
        found = [self._status(budget, principal.name) for budget in self._budgets]
        state[STATE] = [status for status in found if status.budget.whose == "caller"]
        for status in found:
            try:
                status.check()
            except ProblemError:
                self._refusals[status.budget.whose] += 1
                raise

    async def charge(self, size: int) -> None:
        """Add the bytes that a query of the current task was billed."""
        caller = _paying.get()
        for budget in self._budgets:
            name = caller if budget.whose == "caller" else ""
            if budget.whose == "caller" and not caller:
                continue
            window = self._clock.now_us() // budget.window_us
            total = self._used(budget, name, window) + size
            if budget.whose == "caller" and self._shared is not None:
                total = max(total, await self._shared.add(budget, name, window, size))
            self._sums[budget, name] = (window, total)

    def _status(self, budget: Budget, caller: str) -> BudgetStatus:
        window, into_us = divmod(self._clock.now_us(), budget.window_us)
        reset_s = -(-(budget.window_us - into_us) // MICROSECONDS)
        return BudgetStatus(budget, self._used(budget, caller if budget.whose == "caller" else "", window), reset_s)

    def _used(self, budget: Budget, name: str, window: int) -> int:
        last, total = self._sums.get((budget, name), (window, 0))
        return total if last == window else 0


class _SharedSums:
    """The sums of callers over all instances; while Valkey fails, each instance knows its own."""

    def __init__(self, client: "Valkey", clock: Clock) -> None:
        self._client = client
        self._service = BestEffort(clock, deadline_s=_ANSWER_WITHIN_S, pause_s=_PAUSE_S, warn=_warn)

    async def add(self, budget: Budget, name: str, window: int, size: int) -> int:
        """Add to a sum; return it, or 0 if it is not known."""
        key = f"sluice:bytes:{budget.name}:{window}:{name}"
        return await self._service.call(lambda: self._add(key, size, 2 * budget.window_us // MICROSECONDS)) or 0

    async def _add(self, key: str, size: int, expires_s: int) -> int:
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.incrby(key, size)
            pipeline.expire(key, expires_s)  # clocks differ a little
            total, _ = await pipeline.execute()
        return int(total)


def _warn(error: Exception) -> None:
    _log.warning(
        "Valkey (SLUICE_CACHE_URL) does not answer, so this instance adds up billed bytes on its own: %s",
        type(error).__name__,  # its text may contain the address with its password
    )
