"""Limit how many bytes the store bills for the reads of this instance in a day, three quarters of them for one caller.

BigQuery bills what a query read, and its estimate ignores clustering. So the bytes are added up after the fact, and
once the limit is reached no further read is admitted until the day (UTC) ends. Reads in progress are finished, so they
may exceed it.
"""

from collections import Counter
from contextvars import Context, ContextVar

from app.auth.grants import Principal
from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.instants import DAY_US
from app.runtime.ledger import share_of_one
from app.settings.fields import MIB

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
