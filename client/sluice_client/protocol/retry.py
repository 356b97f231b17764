"""Whether to ask again, and when: full jitter below a bound that doubles, and never before the service allows it."""

import random
from collections.abc import Callable

import msgspec

from sluice_client.errors import ProblemError, SluiceError, UnreachableError
from sluice_client.protocol.effects import Broken, Open, Pause, Reply, Request, Send, Steps, T
from sluice_client.protocol.problems import problem_of
from sluice_client.protocol.rate_limit import retry_after_s

_LATER = {408, 429, 500, 502, 503, 504}
_LATER_CODES = {"incomplete_body"}


class RetryPolicy(msgspec.Struct, frozen=True):
    """How long to keep asking: pauses of one request sum up to `patience_s` at most; None is without end."""

    patience_s: float | None = 300.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0


FOREVER = RetryPolicy(patience_s=None)
"""For a follower, which outlasts any outage."""


class Again(msgspec.Struct, frozen=True):
    """Ask again, not before `pause_s` have passed."""

    pause_s: float
    reason: str


class Refused(msgspec.Struct, frozen=True):
    """Asking again would not help."""

    error: SluiceError


def decide(
    outcome: Reply | Broken, attempt: int, policy: RetryPolicy, jitter: Callable[[float], float]
) -> Reply | Again | Refused:
    """Return the reply if it is a success, or else what to do next; `attempt` counts from 0.

    `jitter` returns a number between 0 and its argument: clients that were cut off together must not return together.
    """
    bound_s = _bound_s(attempt, policy)
    if isinstance(outcome, Broken):
        if outcome.is_permanent:
            return Refused(UnreachableError(outcome.reason))
        return Again(jitter(bound_s), outcome.reason)
    if 200 <= outcome.status < 300:
        return outcome
    problem = problem_of(outcome.status, outcome.content)
    if outcome.status in _LATER or problem.code in _LATER_CODES:
        pause_s = 0.0 if problem.code == "draining" and attempt == 0 else jitter(bound_s)
        return Again(retry_after_s(outcome.headers) + pause_s, problem.text)
    return Refused(ProblemError(problem))


def _bound_s(attempt: int, policy: RetryPolicy) -> float:
    return min(policy.first_pause_s * 2.0 ** min(attempt, 30), policy.longest_pause_s)


class Attempts:
    """The failures of one request, since it last succeeded."""

    def __init__(self, policy: RetryPolicy) -> None:
        """Begin without any."""
        self._policy = policy
        self._count = 0
        self._paused_s = 0.0

    def succeed(self) -> None:
        """Forget the failures."""
        self._count, self._paused_s = 0, 0.0

    def judge(self, outcome: Reply | Broken) -> Reply | Pause:
        """Return a good reply, or the pause before the next attempt.

        Raises:
            ProblemError: the service refused the request.
            UnreachableError: it did not answer, and patience has ended.
        """
        decision = decide(outcome, self._count, self._policy, lambda bound_s: random.uniform(0, bound_s))
        return decision if isinstance(decision, Reply) else self._pause(decision)

    def fail(self, broken: Broken) -> Pause:
        """Return the pause after a response that broke off; raises as `judge` does."""
        bound_s = _bound_s(self._count, self._policy)
        return self._pause(Again(random.uniform(0, bound_s), broken.reason))

    def _pause(self, decision: Again | Refused) -> Pause:
        if isinstance(decision, Refused):
            raise decision.error
        self._count += 1
        self._paused_s += decision.pause_s
        if self._policy.patience_s is not None and self._paused_s > self._policy.patience_s:
            raise UnreachableError(f"abandoned after {self._count} attempts: {decision.reason}")
        return Pause(decision.pause_s, decision.reason)


def ask(request: Request, policy: RetryPolicy) -> Steps[T, Reply]:
    """Send a request until it succeeds.

    Raises:
        ProblemError: the service refused it.
        UnreachableError: it did not answer, and patience has ended.
    """
    attempts = Attempts(policy)
    while True:
        judged = attempts.judge((yield Send(request)))
        if isinstance(judged, Reply):
            return judged
        yield judged


def open_stream(request: Request, attempts: Attempts) -> Steps[T, Reply]:
    """Open a stream, likewise. The caller says when it counts as a success: its head alone does not."""
    while True:
        judged = attempts.judge((yield Open(request)))
        if isinstance(judged, Reply):
            return judged
        yield judged
