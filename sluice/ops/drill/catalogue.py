"""The drills. Each breaks something real; its symptom is what the service and Pub/Sub then show."""

import resource
import sys
from collections.abc import Awaitable, Callable

import msgspec

from sluice.ops.drill import consumer
from sluice.ops.drill.system import System, View
from sluice.ops.drill.trickle import Trickle

ORDER, STRICT, WIDER = (f"sluice.ops.drill.records:{name}" for name in ("Order", "Strict", "Wider"))
_RETENTION_S = 600
_FEW_BYTES = 4096
_NOWHERE = "http://127.0.0.1:1/certs"
_COMPLAINT = "A consumer reports: its requests get 401. It sends the key in $DRILL/reader.key."


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """One drill: how it breaks the system, and the section of the run-book that mends it.

    `complaint` is what a person reports where no alert and no state shows it. With `has_keys` the API asks for a key.
    """

    about: str
    symptom: str
    section: str
    break_it: Callable[[System, Trickle], Awaitable[None]]
    is_broken: Callable[[View], bool]
    record: str = ORDER
    max_attempts: int = 100
    complaint: str = ""
    has_keys: bool = False


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


async def _expired_key(system: System, _: Trickle) -> None:
    consumer.expire(system.folder)


async def _revoked_key(system: System, _: Trickle) -> None:
    consumer.revoke(system.folder)


async def _no_certs(system: System, _: Trickle) -> None:
    system.deploy(SLUICE_TOKEN_KEYS_URL=_NOWHERE)


async def _old_certs(system: System, _: Trickle) -> None:
    system.deploy(SLUICE_TOKEN_KEYS_URL=f"{system.pubsub.keys_url}/first")
    await system.rotate_keys()


def _does_not_answer(view: View) -> bool:
    return view.health is None and view.backlog.num_undelivered_messages > 0


def _is_refused(view: View, detail: str) -> bool:
    return view.is_healthy and view.reader.status == 401 and detail in view.reader.detail


def _has_no_certs(view: View) -> bool:
    is_starting = view.health is not None and view.health["status"] == "starting"
    return is_starting and view.pushes["503"] > 0 and "cannot fetch the key set" in view.log


def _has_old_certs(view: View) -> bool:
    return view.is_healthy and view.pushes["401"] > 0 and view.backlog.num_undelivered_messages > 3


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
        symptom="no pushes; all states are ACTIVE, and the oldest message gets older, which the page shows",
        section="The backlog grows",
        break_it=_paused,
        is_broken=lambda view: view.is_healthy and view.waiting_s > 1,
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
    "expired-key": Drill(
        about="the grant of a consumer's API key has expired",
        symptom="all states are ACTIVE, no alert; the consumer gets 401 `the API key of reader expired at …`",
        section="A consumer gets 401",
        break_it=_expired_key,
        is_broken=lambda view: _is_refused(view, "the API key of reader expired at "),
        complaint=_COMPLAINT,
        has_keys=True,
    ),
    "revoked-key": Drill(
        about="the grant of a consumer's API key was removed from the file",
        symptom="all states are ACTIVE, no alert; the consumer gets 401 `the API key is unknown: …`",
        section="A consumer gets 401",
        break_it=_revoked_key,
        is_broken=lambda view: _is_refused(view, "the API key is unknown: "),
        complaint=_COMPLAINT,
        has_keys=True,
    ),
    "no-certs": Drill(
        about="the issuer's certificates cannot be fetched",
        symptom="status is starting, pushes get 503; the log says `cannot fetch the key set`",
        section="Pushes are refused",
        break_it=_no_certs,
        is_broken=_has_no_certs,
    ),
    "old-certs": Drill(
        about="the issuer signs with a new key, and the service takes its certificates from an old copy",
        symptom="pushes get 401 `the issuer has no key with its kid`; all states are ACTIVE, and the backlog grows",
        section="Pushes are refused",
        break_it=_old_certs,
        is_broken=_has_old_certs,
    ),
}
if not sys.platform.startswith("linux"):
    del DRILLS["disk"]  # only Linux can change another process's limits
