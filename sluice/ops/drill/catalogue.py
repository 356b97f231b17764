"""The drills. Each breaks something real, and knows by what it shows."""

from collections.abc import Awaitable, Callable

import msgspec

from sluice.ops.drill.system import System, View
from sluice.ops.drill.trickle import Trickle

ORDER, STRICT, WIDER = (f"sluice.ops.drill.records:{name}" for name in ("Order", "Strict", "Wider"))


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """One drill: how it breaks the system, and the section of the run-book that mends it."""

    about: str
    section: str
    break_it: Callable[[System, Trickle], Awaitable[None]]
    is_broken: Callable[[View], bool]
    record: str = ORDER
    max_attempts: int = 100


async def _paused(system: System, _: Trickle) -> None:
    await system.update("messageRetentionDuration", messageRetentionDuration="600s")
    await system.update("pushConfig", pushConfig={})


async def _other_countries(_: System, trickle: Trickle) -> None:
    trickle.country = "Norway"


def _does_not_answer(view: View) -> bool:
    return view.health is None and view.has_ended and view.backlog.num_undelivered_messages > 0


DRILLS = {
    "setting": Drill(
        about="a deployment has a setting that the service refuses",
        section="The service does not start",
        break_it=lambda system, _: system.deploy(SLUICE_SETTLE_S="soon"),
        is_broken=_does_not_answer,
    ),
    "audience": Drill(
        about="the service expects tokens for another audience",
        section="Pushes are refused",
        break_it=lambda system, _: system.deploy(SLUICE_PUSH_AUDIENCE="another-service"),
        is_broken=lambda view: view.is_healthy and view.backlog.num_undelivered_messages > 3,
    ),
    "paused": Drill(
        about="the push endpoint was removed, and the retention is ten minutes",
        section="The backlog grows",
        break_it=_paused,
        is_broken=lambda view: view.is_healthy and view.backlog.oldest_unacked_message_age > 1,
    ),
    "dead-letters": Drill(
        about="the push endpoint has a wrong path, and messages use up their five attempts",
        section="Dead letters",
        break_it=lambda system, _: system.update(
            "pushConfig", pushConfig={"pushEndpoint": f"{system.url}/pubsub/puhs"}
        ),
        is_broken=lambda view: view.dead_letters > 0,
        max_attempts=5,
    ),
    "table": Drill(
        about="a record type was deployed before the table was changed",
        section="The table does not match",
        break_it=lambda system, _: system.deploy(SLUICE_RECORD=WIDER),
        is_broken=_does_not_answer,
    ),
    "rejects": Drill(
        about="a producer sends what the record type refuses",
        section="Records were rejected",
        break_it=_other_countries,
        is_broken=lambda view: view.rejects > 0,
        record=STRICT,
    ),
}
