"""What became of a message, and the problem for the sender of one that is not durable. Pure."""

import msgspec

from app.http.problems import ProblemError


class Durable(msgspec.Struct, frozen=True):
    """Every row is stored, or its rejection is."""


class Unavailable(msgspec.Struct, frozen=True):
    """Not durable within the budget, though some rows may be stored; the sender should deliver it again."""

    detail: str
    retry_after_s: float


class Throttled(msgspec.Struct, frozen=True):
    """The store asks for less load; the sender should deliver the message again, later."""

    detail: str
    retry_after_s: float


Verdict = Durable | Unavailable | Throttled
DURABLE = Durable()
CLOSED = Unavailable("the instance is shutting down", 1.0)
NO_ROOM = Throttled("too many messages of this caller are in flight on this instance", 1.0)
LATE = Unavailable("the records were not stored within the request's time budget", 1.0)


class NotDurableError(ProblemError):
    """A message did not become durable, as `verdict` says; its sender should send it again."""

    def __init__(self, verdict: Unavailable | Throttled) -> None:
        """Say so as a problem: busy or unavailable."""
        code = "busy" if isinstance(verdict, Throttled) else "unavailable"
        wait_s = max(1, round(verdict.retry_after_s))
        headers, members = {"Retry-After": str(wait_s)}, {"retry_after_s": wait_s}
        super().__init__(code, verdict.detail, headers=headers, members=members)
        self.verdict = verdict


def require_durable(verdict: Verdict) -> None:
    """Check that a message is durable.

    Raises:
        NotDurableError: it is not.
    """
    if not isinstance(verdict, Durable):
        raise NotDurableError(verdict)
