"""Make checks: ask their questions, and judge the answers."""

from collections.abc import Collection, Iterable, Iterator
from typing import assert_never

import msgspec

from app.record import RecordTypeError
from app.telemetry.redaction import first_line
from sluice.ops.preflight.check import Act, Ask, Check, of_all_streams, unreadable
from sluice.ops.preflight.finding import Finding, NotLooked
from sluice.ops.preflight.google import Google, NoCredentialsError
from sluice.ops.preflight.plan import Deployment, settings_trouble, streams_of, with_service
from sluice.ops.preflight.service import INGEST, service_question


class Result(msgspec.Struct, frozen=True):
    """One check and its finding."""

    check: Check
    finding: Finding


def make(checks: Iterable[Check], deployment: Deployment, google: Google, flags: Collection[str]) -> Iterator[Result]:
    """Yield the result of each check in turn.

    Raises:
        NoCredentialsError: Google cannot be asked at all.
    """
    deployment, blocked = _with_service(deployment, google)
    for check in checks:
        yield Result(check, blocked.get(check.needs) or _made(check, deployment, google, flags))


def _with_service(deployment: Deployment, google: Google) -> tuple[Deployment, dict[str, NotLooked]]:
    """Return the deployment with its service, and what cannot be looked at, by what a check needs."""
    question = service_question(deployment)
    answer = google.ask(question)
    if not answer.is_good:
        why = unreadable(question, answer, {404}) or NotLooked("there is no service yet (see `service`)")
        return deployment, {"service": why, "settings": why, "streams": why}
    ingest = google.ask(service_question(deployment, INGEST))  # there is none unless `services = "two"`
    deployment = with_service(deployment, answer.body, ingest.body if ingest.is_good else None)
    if settings_trouble(deployment):
        why = NotLooked("the service's settings are not understood (see `settings`)")
        return deployment, {"settings": why, "streams": why}
    if not deployment.settings.store.streams:
        return deployment, {}
    try:
        names = tuple(streams_of(deployment).by_name)
    except RecordTypeError as error:
        return deployment, {
            "streams": NotLooked(
                f"the streams of the service cannot be loaded here, where their files must be: {error}"
            )
        }
    return msgspec.structs.replace(deployment, streams=names, stream=names[0]), {}


def _made(check: Check, deployment: Deployment, google: Google, flags: Collection[str]) -> Finding:
    try:
        match check:
            case Ask() if check.needs == "streams":
                each = {name: msgspec.structs.replace(deployment, stream=name) for name in deployment.streams}
                return of_all_streams({name: _judged(check, one, google) for name, one in each.items()})
            case Ask():
                return _judged(check, deployment, google)
            case Act():
                if check.flag and check.flag not in flags:
                    return NotLooked(f"it writes: give --{check.flag.replace('_', '-')}")
                return check.run(deployment, google)
            case _:
                assert_never(check)
    except NoCredentialsError:
        raise
    except Exception as error:  # the last line of defence: one check's defect does not hide the others
        return NotLooked(f"an answer was not as documented: {type(error).__name__}: {first_line(error)}")


def _judged(check: Ask, deployment: Deployment, google: Google) -> Finding:
    answers = []
    for question in check.questions(deployment):
        answer = google.ask(question)
        trouble = unreadable(question, answer, check.judges)
        if trouble is not None:
            return trouble
        answers.append(answer)
    return check.verdict(deployment, answers)
