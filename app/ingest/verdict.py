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


def not_durable(verdict: Unavailable | Throttled) -> ProblemError:
    """Return the problem for a message that did not become durable."""
    code = "busy" if isinstance(verdict, Throttled) else "unavailable"
    wait_s = max(1, round(verdict.retry_after_s))
    headers, members = {"Retry-After": str(wait_s)}, {"retry_after_s": wait_s}
    return ProblemError(code, verdict.detail, headers=headers, members=members)
