"""A mirror and a mirror of it, killed like their source while they catch up and follow: they have what it has."""

import asyncio
import itertools
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from app.runtime.clock import SystemClock
from app.runtime.instants import DAY_US, SECOND_US, to_text
from sluice.testing.pace import patience_s
from tests.long.fleet import Instance
from tests.long.result import Result
from tests.support.process import free_port, served_keys

SOURCE, MIRROR, SECOND = "source", "mirror", "mirror of the mirror"
_BATCH, _IDS, _WITHIN_S = 100, 2_000, 120.0


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How many kills there are, of any mirror and of the source, and the records before a mirror is there."""

    seed: int
    mirror_kills: int
    source_kills: int
    records_before: int


class Services:
    """The source and its mirrors, by name, and a client that reaches each while it is up."""

    def __init__(self, instances: dict[str, Instance], http: httpx.AsyncClient) -> None:
        self.instances, self._http = instances, http

    async def ask(self, name: str, method: str, path: str, **asked: Any) -> httpx.Response:
        """Return a good answer of a service, however often it must be asked."""
        async with asyncio.timeout(patience_s(_WITHIN_S)):
            while True:
                try:
                    answer = await self._http.request(method, self.instances[name].url + path, **asked)
                except httpx.TransportError:
                    await asyncio.sleep(0.01)
                    continue
                if answer.status_code < 400:
                    return answer
                if answer.status_code not in {408, 429, 503}:
                    raise AssertionError(f"{name}: {answer.status_code} for {method} {path}: {answer.text}")
                await asyncio.sleep(0.05)

    async def read_to(self, name: str, instant: str) -> None:
        """Wait until a service has read beyond an instant: records, and then erasures."""
        for path in ("/v1/records", "/v1/erasures"):
            async with asyncio.timeout(patience_s(_WITHIN_S)):
                while True:
                    window = (await self.ask(name, "GET", path, params={"limit": "1"})).json()["window"]
                    if window["until"] > instant:
                        break
                    await asyncio.sleep(0.05)

    async def export(self, name: str, until: str) -> list[str]:
        """Return the lines of all records, canaries included, up to an instant."""
        asked = {"limit": "all", "since": "-P1D", "until": until, "heartbeat": "include", "end": "true"}
        return (await self.ask(name, "GET", "/v1/records", params=asked)).text.splitlines()


@asynccontextmanager
async def services(folder: Path) -> AsyncIterator[Services]:
    """Run a source, a mirror, and a mirror of it, the mirrors not yet started, until the block ends."""
    ports = {name: str(free_port()) for name in (SOURCE, MIRROR, SECOND)}
    of = {MIRROR: ports[SOURCE], SECOND: ports[MIRROR]}
    with served_keys() as keys_url:

        def settings(name: str) -> dict[str, str]:
            own = {"port": ports[name], "data_path": str(folder / f"{name}.duckdb"), "requests_per_minute": "0"}
            if name in of:
                url = f"http://127.0.0.1:{of[name]}"
                return own | {"backend": "mirror", "roles": "query", "mirror_url": url}
            return own | {"token_keys_url": keys_url}

        instances = {name: Instance(number, settings(name)) for number, name in enumerate(ports)}
        async with httpx.AsyncClient(timeout=patience_s(30)) as http:
            try:
                await instances[SOURCE].up()
                yield Services(instances, http)
            finally:
                await asyncio.gather(*(each.down() for each in instances.values()))


class Work:
    """Sends batches of versions of few records, and erases some of these, each until it is acknowledged."""

    def __init__(self, asked: Services, dice: random.Random) -> None:
        self._services, self._dice, self._numbers = asked, dice, itertools.count()
        self.batches = self.erasures = 0

    async def send(self) -> None:
        """Send one batch."""
        number = next(self._numbers)
        records = [
            {"id": f"r{self._dice.randrange(_IDS)}", "timestamp": "2026-01-31T12:00:00Z", "data": {"n": number}}
            for _ in range(_BATCH)
        ]
        await self._services.ask(
            SOURCE, "POST", "/v1/records", json=records, headers={"Idempotency-Key": f"batch-{number}"}
        )
        self.batches += 1

    async def run(self) -> None:
        """Work without end; one turn in four is an erasure."""
        while True:
            await self.send()
            if self._dice.random() < 0.25:
                await self._services.ask(SOURCE, "DELETE", f"/v1/records/r{self._dice.randrange(_IDS)}")
                self.erasures += 1

    async def goes_on(self) -> None:
        """Wait until a random number of further batches was stored."""
        enough = self.batches + self._dice.randint(1, 8)
        async with asyncio.timeout(patience_s(_WITHIN_S)):
            while self.batches < enough:  # noqa: ASYNC110 - to end at a random moment after it
                await asyncio.sleep(self._dice.random() / 50)


async def mirrored(conditions: Conditions, folder: Path) -> Result:
    """Kill mirrors and source at random moments; then compare everything, and walk with cursors of all three."""
    dice = random.Random(conditions.seed)
    kills = [SOURCE] * conditions.source_kills + [dice.choice((MIRROR, SECOND)) for _ in range(conditions.mirror_kills)]
    dice.shuffle(kills)
    async with services(folder) as asked:
        work = Work(asked, dice)
        while work.batches * _BATCH < conditions.records_before:
            await work.send()
        working = asyncio.create_task(work.run())
        for name in (MIRROR, SECOND):
            await asked.instances[name].up()
        for name in kills:  # the first of them while the mirrors catch up
            await asyncio.sleep(dice.random() / 5)
            await asked.instances[name].end(signal.SIGKILL)
            if dice.random() < 0.7:
                await work.goes_on()
            if working.done():
                working.result()
        working.cancel()
        await asyncio.wait([working])
        until = to_text(SystemClock().now_us() + SECOND_US)
        for name in asked.instances:
            await asked.read_to(name, until)
        lines = {name: await asked.export(name, until) for name in asked.instances}
        wrong = [f"{name}: {_difference(lines[SOURCE], lines[name])}" for name in lines if lines[name] != lines[SOURCE]]
        wrong += [f"{name} has a row twice" for name in lines if len({*lines[name]}) < len(lines[name])]
        walked = await _walk(asked, until, dice)
        wrong += [] if walked == lines[SOURCE][:-1] else [f"cursors: {_difference(lines[SOURCE][:-1], walked)}"]
        unexpected = [line for each in asked.instances.values() for line in each.complaints]
        counts = {
            "killed": {name: float(kills.count(name)) for name in asked.instances},
            "sent": {"batches": float(work.batches), "erasures": float(work.erasures)},
            "left": {"records": float(len(lines[SOURCE]) - 1)},
        }
        return Result(counts=counts, wrong=[*wrong, *unexpected])


async def _walk(asked: Services, until: str, dice: random.Random) -> list[str]:
    """Return the records of the pages of a walk, each asked of another service with the cursor of the last."""
    position = {"since": to_text(SystemClock().now_us() - DAY_US), "until": until}
    names, found = [*asked.instances], list[str]()
    while True:
        same = {"heartbeat": "include", "limit": str(dice.choice((7, 100, 1_000))), "format": "ndjson"}
        answer = await asked.ask(dice.choice(names), "GET", "/v1/records", params=position | same)
        found += answer.text.splitlines()
        if "sluice-next-cursor" not in answer.headers:
            return found
        position = {"cursor": answer.headers["sluice-next-cursor"]}


def _difference(expected: list[str], found: list[str]) -> str:
    missing, surplus = {*expected} - {*found}, {*found} - {*expected}
    kinds = {"lacks": missing, "adds": surplus}
    shown = [f"{word} {len(lines)}, such as {min(lines)}" for word, lines in kinds.items() if lines]
    return "; ".join(shown) or "another order"
