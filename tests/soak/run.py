"""One soak: the service, its load and its crowd, faults and samples meanwhile, and the ledger at the end."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import msgspec

from sluice.testing import tokens
from sluice.testing.instance import Resources, complaints, resources
from sluice.testing.pace import patience_s
from sluice.testing.process import ROOT, free_port, served_keys
from tests.chaos.ledger import Evidence, Reading, violations
from tests.chaos.plan import make_plan
from tests.chaos.reader import Follower
from tests.soak.crowd import PUT_PREFIX, Crowd
from tests.soak.faults import Inside
from tests.soak.issuer import MAX_AGE_S, RotatingIssuer
from tests.soak.load import SteadyDriver, one

FEEDS = ("/v1/records", "/v1/rejects")
_READY_WITHIN_S, _FINISH_WITHIN_S = 60.0, 300.0


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How hard and how long: seconds, messages a second, share of appends with a fault, seconds between events.

    `settings` are of the service, named without SLUICE_.
    """

    seed: int
    seconds: float
    rate: float = 50.0
    fault_rate: float = 0.02
    sample_every_s: float = 5.0
    stop_every_s: float = 150.0
    step_every_s: float = 240.0
    rotate_every_s: float = 180.0
    token_s: float = 60.0
    trace: bool = False
    settings: Mapping[str, str] = {}


class Sample(msgspec.Struct, frozen=True):
    """What the process held, so many seconds after the begin."""

    at_s: float
    outside: Resources
    inside: Inside


class Soaked(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen: samples, what was wrong, and counts of what was done."""

    samples: list[Sample]
    tidied: list[Sample]
    """The last of the load, and what was left of it once garbage was collected and free memory given back."""
    wrong: list[str]
    counts: Mapping[str, Mapping[str, int]]


class Soak:
    """One soak in `folder`; it is awaited once, by calling it."""

    def __init__(self, conditions: Conditions, folder: Path) -> None:
        self._conditions, self._folder = conditions, folder
        self._socket = str(folder / "debug.sock")
        self._samples: list[Sample] = []
        self._events = Counter[str]()
        self._begun_s = 0.0

    async def __call__(self) -> Soaked:
        """Do it, and return what was seen."""
        issuer = RotatingIssuer(every_s=self._conditions.rotate_every_s, lifetime_s=self._conditions.token_s)
        with served_keys(issuer.certs, max_age_s=MAX_AGE_S) as keys_url, self._service(keys_url) as (process, url):
            await self._until_ready(url, process)
            self._begun_s = time.monotonic()
            stop_at_s = self._begun_s + self._conditions.seconds
            plan = make_plan(
                self._conditions.seed,
                round(self._conditions.seconds * self._conditions.rate) + 100,
                instances=1,
                kills=0,
                outages=0,
                cuts=0,
            )
            driver = SteadyDriver(
                url, seed=plan.seed, rate=self._conditions.rate, stop_at_s=stop_at_s, token=issuer.token
            )
            crowd = Crowd(url, plan.seed, stop_at_s)
            since = datetime.now(UTC) - timedelta(minutes=1)
            followers = [Follower(one(url), path, since, plan.seed) for path in FEEDS]
            async with asyncio.TaskGroup() as tasks:
                for follower in followers:
                    tasks.create_task(follower.run())
                watching = tasks.create_task(self._watch(process.pid))
                trouble = tasks.create_task(self._trouble(process.pid, stop_at_s))
                async with asyncio.timeout(self._conditions.seconds + patience_s(_FINISH_WITHIN_S)):
                    await asyncio.gather(driver.send(plan.messages), crowd.run(), trouble)
                watching.cancel()
                tidied = [await self._look(process.pid, {"faults": False, "clock_off_s": 0.0})]
                tidied.append(await self._look(process.pid, {"collect": True}))
                ended = datetime.now(UTC)
                for follower in followers:
                    follower.finish(ended)
            later = [Follower(one(url), path, since, plan.seed + 1) for path in FEEDS]
            for follower in later:
                follower.finish(ended)
            await asyncio.gather(*(follower.run() for follower in later))
        wrong = [*driver.trouble, *crowd.trouble, *(each for f in (*followers, *later) for each in f.trouble)]
        wrong += [f"log: {line[:300]}" for line in complaints((self._folder / "service.log").read_text())]
        evidence = Evidence(
            messages=[message for message in plan.messages if message.number in driver.begun],
            answers=driver.answers,
            followed=Reading(_without_puts(followers[0].rows), followers[1].rows),
            reread=Reading(_without_puts(later[0].rows), later[1].rows),
            stored=self._counted("records"),
            stored_rejects=self._counted("records_rejected"),
        )
        wrong += [*violations(evidence), *wrong_puts(crowd.puts, followers[0].rows)]
        counts = {
            "messages": driver.outcomes,
            "crowd": crowd.answers,
            "events": self._events | {"rotations": issuer.rotations},
            "faults": self._samples[-1].inside.faults if self._samples else {},
            "rows": {"followed": len(followers[0].rows), "rejects": len(followers[1].rows)},
        }
        return Soaked(samples=self._samples, tidied=tidied, wrong=wrong, counts=counts)

    @contextmanager
    def _service(self, keys_url: str) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
        port = free_port()
        own = {
            "port": str(port),
            "data_path": str(self._folder / "sluice.duckdb"),
            "push_principals": tokens.PUSHER,
            "push_audience": tokens.AUDIENCE,
            "token_issuer": tokens.ISSUER,
            "token_keys_url": keys_url,
            "requests_per_minute": "0",
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PORT"))}
        settings = own | dict(self._conditions.settings)
        environment |= {f"SLUICE_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "tests.soak.service", self._socket]
        command += [str(self._conditions.seed), str(self._conditions.fault_rate)]
        with (self._folder / "service.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process, f"http://127.0.0.1:{port}"
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
            try:
                process.wait(patience_s(30))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    async def _until_ready(self, url: str, process: "subprocess.Popen[bytes]") -> None:
        until_s = time.monotonic() + patience_s(_READY_WITHIN_S)
        async with httpx.AsyncClient() as client:
            while time.monotonic() < until_s and process.poll() is None:
                try:
                    if (await client.get(f"{url}/health/ready")).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
        raise AssertionError((self._folder / "service.log").read_text()[-2_000:])

    async def _watch(self, pid: int) -> None:
        if self._conditions.trace:
            await self._command({"trace": True})
        while True:
            self._samples.append(await self._look(pid, {}))
            await asyncio.sleep(self._conditions.sample_every_s)

    async def _look(self, pid: int, command: Mapping[str, Any]) -> Sample:
        inside = await self._command(command)
        return Sample(time.monotonic() - self._begun_s, resources(pid), inside)

    async def _trouble(self, pid: int, stop_at_s: float) -> None:
        """Stop the process for a moment, and set its time of day off, in turn, until shortly before the end."""
        dice = random.Random(f"{self._conditions.seed}/trouble")
        due = {"stop": self._conditions.stop_every_s, "step": self._conditions.step_every_s}
        next_s = {name: self._begun_s + every_s for name, every_s in due.items()}
        while (now_s := time.monotonic()) < stop_at_s - min(15, self._conditions.seconds / 4):
            for name, at_s in next_s.items():
                if now_s >= at_s:
                    next_s[name] = now_s + due[name]
                    self._events[name] += 1
                    await (self._stop(pid, dice.uniform(1, 4)) if name == "stop" else self._step(dice))
            await asyncio.sleep(0.5)

    async def _stop(self, pid: int, seconds: float) -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _step(self, dice: random.Random) -> None:
        """Set the time of day ahead or back for a few seconds."""
        await self._command({"clock_off_s": dice.choice((3.0, -3.0, 20.0, -20.0))})
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=5)
        await self._command({"clock_off_s": 0.0})

    async def _command(self, command: Mapping[str, Any]) -> Inside:
        reader, writer = await asyncio.open_unix_connection(self._socket)
        try:
            writer.write(msgspec.json.encode(command) + b"\n")
            line = await reader.readline()
        finally:
            writer.close()
        return msgspec.json.decode(line, type=Inside)

    def _counted(self, table: str) -> dict[str, int]:
        """Count the rows of each delivery key, those of PUTs left out, in the file that nobody has open now."""
        with duckdb.connect(str(self._folder / "sluice.duckdb"), read_only=True) as connection:
            rows = connection.execute(f"SELECT delivery_key, count(*) FROM {table} GROUP BY 1").fetchall()  # noqa: S608 - one of two names
        return dict(rows)


def wrong_puts(puts: Mapping[str, list[int]], rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the versions that were PUT: each answered one is in the feed exactly once."""
    seen = Counter((row["id"], row["data"]["n"]) for row in rows if row["id"].startswith(PUT_PREFIX))
    for record_id, numbers in puts.items():
        for number in numbers:
            if seen[record_id, number] != 1:
                yield f"put: version {number} of {record_id} is {seen[record_id, number]} times in the feed"


def _without_puts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if not row["id"].startswith(PUT_PREFIX)]
