"""The drills. Each breaks something real; its symptom is what the service and Pub/Sub then show."""

import resource
import sys
from collections.abc import Awaitable, Callable

import msgspec

from dev.drill.system import System, View
from dev.drill.trickle import Trickle

ORDER, STRICT, WIDER = (f"dev.drill.records:{name}" for name in ("Order", "Strict", "Wider"))
_RETENTION_S = 600
_FEW_BYTES = 4096


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """One drill: how it breaks the system, and the section of the run-book that mends it."""

    about: str
    symptom: str
    section: str
    break_it: Callable[[System, Trickle], Awaitable[None]]
    is_broken: Callable[[View], bool]
    record: str = ORDER
    max_attempts: int = 100


async def _bad_setting(system: System, _: Trickle) -> None:
    system.deploy(SLUICE_SETTLE_S="soon")


async def _wrong_audience(system: System, _: Trickle) -> None:
    system.deploy(SLUICE_PUSH_AUDIENCE="another-service")


async def _paused(system: System, _: Trickle) -> None:
    await system.update("messageRetentionDuration", messageRetentionDuration=f"{_RETENTION_S}s")
    await system.update("pushConfig", pushConfig={})


async def _wrong_path(system: System, _: Trickle) -> None:
    await system.update("pushConfig", pushConfig={"pushEndpoint": f"{system.url}/pubsub/puhs"})


async def _full_disk(system: System, _: Trickle) -> None:
    resource.prlimit(await system.pid(), resource.RLIMIT_FSIZE, (_FEW_BYTES, resource.RLIM_INFINITY))


async def _early_type(system: System, _: Trickle) -> None:
    system.deploy(SLUICE_RECORD=WIDER)


async def _other_countries(_: System, trickle: Trickle) -> None:
    trickle.country = "Norway"


def _does_not_answer(view: View) -> bool:
    return view.health is None and view.backlog.num_undelivered_messages > 0


DRILLS = {
    "setting": Drill(
        about="a deployment has a setting that the service refuses",
        symptom="the service does not answer, and starts again and again",
        section="The service does not start",
        break_it=_bad_setting,
        is_broken=_does_not_answer,
    ),
    "audience": Drill(
        about="the service expects tokens for another audience",
        symptom="pushes get 401; all states are ACTIVE, and the backlog grows",
        section="Pushes are refused",
        break_it=_wrong_audience,
        is_broken=lambda view: view.is_healthy and view.backlog.num_undelivered_messages > 3,
    ),
    "paused": Drill(
        about="the push endpoint was removed, and the retention is ten minutes",
        symptom="no pushes; all states are ACTIVE, and the oldest message gets older",
        section="The backlog grows",
        break_it=_paused,
        is_broken=lambda view: view.is_healthy and view.backlog.oldest_unacked_message_age > 1,
    ),
    "dead-letters": Drill(
        about="the push endpoint has a wrong path, and messages use up their five attempts",
        symptom="pushes get 404; messages wait in the dead-letter subscription",
        section="Dead letters",
        break_it=_wrong_path,
        is_broken=lambda view: view.dead_letters > 0,
        max_attempts=5,
    ),
    "disk": Drill(
        about="the files of the service may not grow any more",
        symptom="sinks.records.state is DISK_FULL",
        section="The disk is full",
        break_it=_full_disk,
        is_broken=lambda view: "DISK_FULL" in view.states,
    ),
    "table": Drill(
        about="a record type was deployed before the table was changed",
        symptom="the service does not answer; its log names the column that does not fit",
        section="The table does not match",
        break_it=_early_type,
        is_broken=_does_not_answer,
    ),
    "rejects": Drill(
        about="a producer sends what the record type refuses",
        symptom="all states are ACTIVE; records are missing from the feed, and in /v1/rejects",
        section="Records were rejected",
        break_it=_other_countries,
        is_broken=lambda view: view.rejects > 0,
        record=STRICT,
    ),
}
if not sys.platform.startswith("linux"):
    del DRILLS["disk"]  # only Linux can change another process's limits
