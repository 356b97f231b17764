"""Limit how many bytes the store bills for the reads of a caller and of this instance, in an hour and in a day.

BigQuery bills what a query read, and its estimate ignores clustering. So budgets are kept after the fact: what each
query read is added up, and once a budget is used up no further read is admitted until its window ends. Windows are
hours and days of the clock (UTC). Reads in progress are finished, so they may exceed a budget.
"""

import logging
from collections import Counter
from collections.abc import Callable
from contextvars import Context, ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.auth.principal import Principal
from app.http.problems import ProblemError
from app.runtime.best_effort import BestEffort
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import DAY_US, HOUR_US
from app.settings.fields import MIB
from app.settings.query import QuerySettings

if TYPE_CHECKING:
    from valkey.asyncio import Valkey

Whose = Literal["caller", "instance"]
STATE = "byte_budget"  # in the request's state
_WINDOWS_US = {"hour": HOUR_US, "day": DAY_US}
ANSWER_WITHIN_S, PAUSE_S = 0.2, 5.0  # of Valkey, as in rate_limit
_LEAST_BYTES = 10 * MIB  # BigQuery bills no query with less (https://cloud.google.com/bigquery/pricing)
_log = logging.getLogger("sluice.access")
_paying: ContextVar[str] = ContextVar("paying", default="")
"""The caller whose request this task works for; "" for the service's own reads. Tasks inherit it from their creator."""
Statuses = Callable[[], "list[BudgetStatus]"]


def context_of_the_payer() -> Context:
    """Return a context for work that outlives its request: it knows nothing of it but who pays."""
    context = Context()
    context.run(_paying.set, _paying.get())
    return context


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
        self._is_billed = False

    def admit(self, principal: Principal, state: dict[str, Any]) -> None:
        """Admit a read, whose queries are charged to `principal`.

        What returns its budgets, as they are when the response begins, is left in the request's `state`.

        Raises:
            ProblemError: byte_budget_used_up.
        """
        _paying.set(principal.name)
        state[STATE] = partial(self._statuses, principal.name, "caller")
        for status in (*self._statuses(principal.name, "caller"), *self._statuses("", "instance")):
            try:
                status.check()
            except ProblemError:
                self._refusals[status.budget.whose] += 1
                raise

    async def charge(self, size: int) -> None:
        """Add the bytes that a query of the current task read; it is billed for 10 MB at least."""
        caller, size, now_us = _paying.get(), max(size, _LEAST_BYTES), self._clock.now_us()
        charged, self._is_billed = list[tuple[Budget, str, int]](), True
        for budget in self._budgets:  # all of them before anything waits: others charge meanwhile
            name, window = (caller if budget.whose == "caller" else ""), now_us // budget.window_us
            if budget.whose == "instance" or caller:
                self._sums[budget, name] = (window, self._used(budget, name, window) + size)
                charged.append((budget, name, window))
        if self._shared is None:
            return
        for budget, name, window in charged:
            if budget.whose == "caller":
                total = await self._shared.add(budget, name, window, size)
                last, own = self._sums[budget, name]
                if last == window:
                    self._sums[budget, name] = (window, max(own, total))

    def _statuses(self, name: str, whose: Whose) -> list[BudgetStatus]:
        """Return how much of each budget is used; nothing over a store that never said what a read costs."""
        if not self._is_billed:
            return []
        return [self._status(budget, name) for budget in self._budgets if budget.whose == whose]

    def _status(self, budget: Budget, name: str) -> BudgetStatus:
        window, into_us = divmod(self._clock.now_us(), budget.window_us)
        reset_s = -(-(budget.window_us - into_us) // MICROSECONDS)
        return BudgetStatus(budget, self._used(budget, name, window), reset_s)

    def _used(self, budget: Budget, name: str, window: int) -> int:
        last, total = self._sums.get((budget, name), (window, 0))
        return total if last == window else 0


class _SharedSums:
    """The sums of callers over all instances; while Valkey fails, each instance knows its own."""

    def __init__(self, client: "Valkey", clock: Clock) -> None:
        self._client = client
        self._service = BestEffort(clock, deadline_s=ANSWER_WITHIN_S, pause_s=PAUSE_S, warn=_warn)

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
