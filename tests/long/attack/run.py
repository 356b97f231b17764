"""One attack: the neighbours alone, then with the attacker, then alone again until all is as before."""

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import msgspec

from tests.long.attack import client
from tests.long.attack.client import Job, Sent
from tests.long.attack.neighbours import Neighbours
from tests.long.attack.payloads import page_of_records
from tests.long.attack.plan import Attack
from tests.long.attack.verdict import MAX_RECOVERY_S, Evidence, Felt, broken, mebibytes
from tests.support.instance import Caller, instance, reset_peak, resources

CALLERS = tuple(
    Caller(name, (scope,), requests_per_minute=None)
    for name, scope in (
        ("reader", "read"),
        ("follower", "read"),
        ("attacker-read", "read"),
        ("attacker-read-2", "read"),
        ("attacker-write", "write"),
    )
)
_LOOK_EVERY_S, _QUIET_S = 0.25, 2.0
_GIVE_UP_AFTER_S = 60.0


class Times(msgspec.Struct, frozen=True):
    """How long the neighbours are watched before an attack, and at least after it."""

    before_s: float = 4.0
    after_s: float = MAX_RECOVERY_S + 2.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attack: the evidence, and what the attacker sent."""

    attack: Attack
    evidence: Evidence
    sent: Sent

    def text(self) -> str:
        """Return it as lines, with what does not hold."""
        seen, wrong = self.evidence, broken(self.evidence)
        phases = (seen.before, seen.during, seen.after)
        lines = [f"{self.attack.name}: {'BROKEN' if wrong else 'holds'}; p50/p99 before, during, after"]
        for name in ("liveness", "producer", "reader"):
            felt: list[Felt] = [getattr(phase, name) for phase in phases]
            lines.append(f"  {name:8} {', '.join(f'{each.p50_s:.2f}/{each.p99_s:.2f}' for each in felt)} s")
        lines += [
            f"  memory {mebibytes(seen.first_bytes)} MiB before, {mebibytes(seen.peak_bytes)} at most",
            f"  full service after {seen.recovery_s:.1f} s",
            f"  sent {dict(self.sent.answers)}; connections {dict(self.sent.connections)}",
        ]
        return "\n".join([*lines, *(f"  BROKEN: {each}" for each in wrong)])


async def run(attack: Attack, folder: Path, times: Times) -> Outcome:
    """Make one attack on a service with default limits; it is ended afterwards, and its store looked into."""
    numbers = {"client_stall_s": attack.stall_s} if attack.stall_s is not None else None
    with instance(folder, CALLERS, numbers) as service:
        tokens = {**service.keys, "push": service.push_token}
        neighbours = Neighbours(service.url, tokens)
        job = Job(url=service.url, moves=attack.moves, seconds=attack.seconds, tokens=tokens)
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            await asyncio.wrap_future(process.submit(client.prepare, job))
            await neighbours.start()
            await neighbours.send(page_of_records(number) for number in range(attack.pages))
            begun_s = time.monotonic()
            await neighbours.watch(times.before_s)
            reset_peak(service.pid)
            first_bytes = resources(service.pid).rss_bytes
            attacked_s = time.monotonic()
            sent = await asyncio.wrap_future(process.submit(client.attack))
            ended_s = time.monotonic()
        usual_s = neighbours.usual_s(begun_s, attacked_s)
        await _until_recovered(neighbours, ended_s, usual_s, times.after_s)
        stopped_s = time.monotonic()
        await neighbours.stop()
        alive = service.process.poll() is None
        held = resources(service.pid) if alive else None
        await asyncio.to_thread(service.terminate)
        missing = sorted(neighbours.acknowledged - neighbours.seen.keys())
        missing += sorted({*sent.acknowledged} - service.stored_messages())
        evidence = Evidence(
            before=neighbours.phase(begun_s, attacked_s),
            during=neighbours.phase(attacked_s, ended_s),
            after=neighbours.phase(ended_s, stopped_s),
            first_bytes=first_bytes,
            peak_bytes=held.peak_bytes if held else 0,
            missing=missing,
            repeated=sorted(each for each, count in neighbours.seen.items() if count > 1),
            recovery_s=neighbours.recovery_s(ended_s, usual_s),
            alive=alive,
            complaints=service.complaints(),
            unread=sum(count for fate, count in sent.connections.items() if fate.startswith("open"))
            if attack.stall_s is not None
            else 0,
        )
    return Outcome(attack=attack, evidence=evidence, sent=sent)


async def _until_recovered(neighbours: Neighbours, ended_s: float, usual_s: float, at_least_s: float) -> None:
    """Watch for `at_least_s` seconds, and on for as long as requests are open that are late; a minute at most."""
    while (passed_s := time.monotonic() - ended_s) < _GIVE_UP_AFTER_S:
        quiet_s = passed_s - neighbours.recovery_s(ended_s, usual_s)
        if passed_s >= at_least_s and quiet_s >= _QUIET_S and not neighbours.is_waiting(usual_s):
            return
        await asyncio.sleep(_LOOK_EVERY_S)
