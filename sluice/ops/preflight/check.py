"""A check, as data: its questions and its verdict; or, for the few that do more than ask, the steps they take."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

import msgspec

from sluice.ops.preflight.finding import Failed, Finding, Held, NotLooked
from sluice.ops.preflight.google import Answer, Google, Question
from sluice.ops.preflight.plan import Deployment

Needs = Literal["nothing", "service", "settings", "streams"]
"""What must have been read before a check can be made.

One that needs the streams is made for each of them: an Ask by the runner, an Act by itself.
"""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A check that only asks. `judges` are the statuses of errors that its verdict understands."""

    name: str
    about: str
    questions: Callable[[Deployment], Sequence[Question]]
    verdict: Callable[[Deployment, Sequence[Answer]], Finding]
    judges: Collection[int] = ()
    needs: Needs = "settings"


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """A check in several steps. Without its `flag`, if it has one, it is not run, because it writes."""

    name: str
    about: str
    run: Callable[[Deployment, Google], Finding]
    flag: str = ""
    needs: Needs = "settings"


Check = Ask | Act


def unreadable(question: Question, answer: Answer, judges: Collection[int]) -> NotLooked | None:
    """Return why an answer says nothing about the deployment; None if it is for the check's verdict."""
    if answer.is_good:
        return None
    if answer.status == 0:
        return NotLooked(f"{question.host} could not be asked: {answer.message}")
    if answer.reason == "SERVICE_DISABLED":
        return NotLooked(
            f"{question.host} is not enabled in this project, and cannot be asked: `gcloud services enable "
            f"{question.host}`"
        )
    if answer.status in judges:
        return None
    if answer.status in {401, 403}:
        return NotLooked(f"your account may not ask {question.host}: {answer.message}")
    return NotLooked(f"{question.host} answered {answer.status}: {answer.message}")


def first_failure(failures: Sequence[Failed], held: str) -> Finding:
    """Return all failures as one, or what held if there are none."""
    if not failures:
        return Held(held)
    cures = list(dict.fromkeys(each.cure for each in failures))
    return Failed("; ".join(each.said for each in failures), "; ".join(cures))


def of_all_streams(findings: Mapping[str, Finding]) -> Finding:
    """Return the findings of one check for each stream, by its name, as one; the worst counts.

    A single type has no name, and its finding is returned as it is.
    """
    if "" in findings:
        return findings[""]
    failures = [
        Failed(f"stream {name}: {each.said}", each.cure) for name, each in findings.items() if isinstance(each, Failed)
    ]
    unread = [f"stream {name}: {each.why}" for name, each in findings.items() if isinstance(each, NotLooked)]
    if unread and not failures:
        return NotLooked("; ".join(unread))
    held = [f"{name}: {each.said}" for name, each in findings.items() if isinstance(each, Held)]
    return first_failure(failures, f"in all {len(held)} streams, such as {held[0] if held else ''}")
