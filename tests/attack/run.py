"""One attack: the neighbours alone, then with the attacker, then alone again until all is as before."""

import asyncio
import os
import signal
import sys
import time
from typing import Self

import msgspec

from sluice.testing.pace import patience_s
from sluice.testing.process import ROOT
from tests.attack.client import READY, Job, Sent
from tests.attack.memory import Memory
from tests.attack.neighbours import Neighbours
from tests.attack.payloads import page_of_records
from tests.attack.plan import Attack, Stop
from tests.attack.scene import Scene, missing_from_store, stamp
from tests.attack.verdict import MAX_RECOVERY_S, Evidence

_LOOK_EVERY_S, _QUIET_S = 0.25, 2.0
_GIVE_UP_AFTER_S = 60.0
_REPORT_WITHIN_S = 30.0
_MAX_LINE_BYTES = 64 * 1024 * 1024


class Times(msgspec.Struct, frozen=True):
    """How long the neighbours are watched before an attack, and at least after it."""

    before_s: float = 4.0
    after_s: float = MAX_RECOVERY_S + 2.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attack: the evidence, what the attacker sent, memory before and after it."""

    attack: Attack
    evidence: Evidence
    sent: Sent
    first_bytes: int | None
    last_bytes: int | None


class Attacker:
    """The process that attacks (tests/attack/client.py), and the signals that are sent from here."""

    def __init__(self, attack: Attack, scene: Scene) -> None:
        self._attack, self._pid = attack, scene.pid
        self._job = Job(url=scene.url, moves=attack.moves, seconds=attack.seconds, tokens=scene.tokens)

    async def __aenter__(self) -> Self:
        """Start it, and wait until everything that it will send is prepared."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.attack.client",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MAX_LINE_BYTES,
        )
        self._say(msgspec.json.encode(self._job))
        line = await self._line(_REPORT_WITHIN_S)
        assert line.decode().strip() == READY, "the attacker ended before it began"
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def attack(self) -> Sent:
        """Attack until the time is over; return what was sent."""
        self._say(b"go")
        stops = self._pid is not None and any(isinstance(move, Stop) for move in self._attack.moves)
        if stops and self._pid is not None:
            os.kill(self._pid, signal.SIGSTOP)
        try:
            line = await self._line(self._attack.seconds + _REPORT_WITHIN_S)
        finally:
            if stops and self._pid is not None:
                os.kill(self._pid, signal.SIGCONT)
        return msgspec.json.decode(line, type=Sent)

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")

    async def _line(self, within_s: float) -> bytes:
        assert self._process.stdout is not None
        async with asyncio.timeout(patience_s(within_s)):
            return await self._process.stdout.readline()


async def run(attack: Attack, scene: Scene, times: Times) -> Outcome:
    """Make one attack; a service that was started for it is ended afterwards, so that its store can be looked into."""
    neighbours, memory = Neighbours(scene.url, scene.tokens, stamp()), Memory(scene.pid)
    async with Attacker(attack, scene) as attacker:
        await neighbours.start()
        await neighbours.send(page_of_records(number) for number in range(attack.pages))
        begun_s = time.monotonic()
        await neighbours.watch(times.before_s)
        watching = memory.watch()
        attacked_s = time.monotonic()
        sent = await attacker.attack()
        ended_s = time.monotonic()
    usual_s = neighbours.usual_s(begun_s, attacked_s)
    await _until_recovered(neighbours, ended_s, usual_s, times.after_s)
    watching.cancel()
    stopped_s = time.monotonic()
    await neighbours.stop()
    missing = sorted(neighbours.acknowledged - neighbours.seen.keys())
    alive, complaints = True, list[str]()
    if scene.own is not None:
        alive = scene.own.process.poll() is None
        await asyncio.to_thread(scene.own.terminate)
        missing += missing_from_store(scene.own.folder, sent.acknowledged)
        complaints = scene.own.complaints()
    evidence = Evidence(
        before=neighbours.phase(begun_s, attacked_s),
        during=neighbours.phase(attacked_s, ended_s),
        after=neighbours.phase(ended_s, stopped_s),
        peak_bytes=memory.peak_bytes,
        missing=missing,
        repeated=sorted(each for each, count in neighbours.seen.items() if count > 1),
        recovery_s=neighbours.recovery_s(ended_s, usual_s),
        alive=alive,
        complaints=complaints,
        own_lag_s=neighbours.own_lag_s(attacked_s, ended_s),
        is_silence=attack.is_silence,
        unread=sum(count for fate, count in sent.connections.items() if fate.startswith("open"))
        if attack.stall_s is not None
        else 0,
    )
    return Outcome(
        attack=attack, evidence=evidence, sent=sent, first_bytes=memory.first_bytes, last_bytes=memory.last_bytes
    )


async def _until_recovered(neighbours: Neighbours, ended_s: float, usual_s: float, at_least_s: float) -> None:
    """Watch for `at_least_s` seconds, and on for as long as requests are open that are late; a minute at most."""
    while (passed_s := time.monotonic() - ended_s) < _GIVE_UP_AFTER_S:
        quiet_s = passed_s - neighbours.recovery_s(ended_s, usual_s)
        if passed_s >= at_least_s and quiet_s >= _QUIET_S and not neighbours.is_waiting(usual_s):
            return
        await asyncio.sleep(_LOOK_EVERY_S)
