"""A follower and the service are killed at random moments; the table has every record once, or the state."""

import asyncio
import random
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sluice.testing.pace import patience_s
from tests.client.command import line_with, run, start
from tests.client.targets import duckdb_target, postgres_target, sqlite_target
from tests.long.fleet import fleet
from tests.long_form import IS_LONG, long
from tests.support.process import free_port, served_keys

KILLS = 20 if IS_LONG else 3
BATCH = 120
_SEED = 20_261_123


class Producer:
    """Sends batches, each until it is acknowledged."""

    def __init__(self, http: httpx.AsyncClient, rng: random.Random) -> None:
        self._http, self._rng = http, rng
        self.sent = self.acknowledged = self.repeated = 0
        self.is_ending = False

    async def run(self) -> None:
        """Send until it is to end."""
        while not self.is_ending:
            number, self.sent = self.sent, self.sent + 1
            records = [self.record(number, each) for each in range(BATCH)]
            while not await self._is_stored(records, f"batch-{number}"):
                self.repeated += 1
            await self.between()
            self.acknowledged += 1

    def record(self, batch: int, each: int) -> dict[str, Any]:
        """Return a record of a batch."""
        return {"id": f"r{batch}-{each}", "timestamp": "2026-01-31T12:00:00Z", "data": {"n": each}}

    async def between(self) -> None:
        """Do what comes after a batch."""

    async def _is_stored(self, records: list[dict[str, Any]], key: str) -> bool:
        try:
            answer = await self._http.post("/v1/records", json=records, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            await asyncio.sleep(0)
            return False
        return answer.status_code == 201

    async def some_batches(self) -> None:
        """Wait until a random number of further batches was acknowledged."""
        enough = self.acknowledged + self._rng.randint(1, 12)
        async with asyncio.timeout(patience_s(60)):
            while self.acknowledged < enough:  # noqa: ASYNC110 - to end at a random moment after it
                await asyncio.sleep(self._rng.random() / 100)


class Versions(Producer):
    """Sends versions of few records, in no order of their numbers, and erases some."""

    def record(self, batch: int, each: int) -> dict[str, Any]:
        """Return a version, which may be a tombstone."""
        number, is_gone = self._rng.choice([None, self._rng.randrange(1_000)]), self._rng.random() < 0.2
        return {"id": f"r{self._rng.randrange(200)}", "number": number, "is_gone": is_gone}

    async def between(self) -> None:
        """Erase a record until nothing remains of it."""
        while not await self._is_erased(f"r{self._rng.randrange(200)}"):
            self.repeated += 1

    async def _is_erased(self, record_id: str) -> bool:
        try:
            answer = await self._http.delete(f"/v1/records/{record_id}")
        except httpx.TransportError:
            await asyncio.sleep(0)
            return False
        return answer.status_code == 200


async def follow(words: tuple[str, ...]) -> asyncio.subprocess.Process:
    """Start a follower, and wait until it has stored a page, so that it is killed in its work."""
    follower = await start(*words)
    await line_with(follower, "new records")
    return follower


@asynccontextmanager
async def followed(
    folder: Path, words: tuple[str, ...], kind: type[Producer] = Producer, **settings: str
) -> AsyncIterator[tuple[Producer, httpx.AsyncClient]]:
    """Kill a service, a follower with these `words`, and both, while a producer sends; then follow to the end."""
    rng, port = random.Random(_SEED), str(free_port())
    kills = (["follower", "service", "follower and service"] * KILLS)[:KILLS]
    rng.shuffle(kills)
    url = f"http://127.0.0.1:{port}"
    words = ("follow", url, *words)
    with served_keys() as keys_url:
        settings |= {"token_keys_url": keys_url, "data_path": str(folder / "service.duckdb"), "port": port}
        async with (
            fleet(1, settings) as services,
            httpx.AsyncClient(base_url=url, timeout=patience_s(30)) as http,
        ):
            producer = kind(http, rng)
            producing = asyncio.create_task(producer.run())
            follower = await follow((*words, "--wait", "1"))
            try:
                for what in kills:
                    await producer.some_batches()
                    assert not producing.done(), producing
                    if "follower" in what:
                        follower.kill()
                        await follower.wait()
                    if "service" in what:
                        await services.end(0, signal.SIGKILL)
                    if "follower" in what:
                        follower = await follow((*words, "--wait", "1"))
                await producer.some_batches()
            finally:
                follower.kill()
                await follower.wait()
            producer.is_ending = True
            async with asyncio.timeout(patience_s(60)):
                await producing
            ended = await run(*words, "--once")
            assert ended.status == 0, ended.said
            yield producer, http
    assert producer.repeated > 0, "no request was interrupted: the kills missed the service"


@pytest.mark.parametrize("kind", ["duckdb", pytest.param("sqlite", marks=long)])
async def test_every_record_is_there_once_after_random_kills(kind: str, tmp_path: Path) -> None:
    """Killed without warning in their work, both of them, while a producer repeats what was not acknowledged."""
    target = {"duckdb": duckdb_target, "sqlite": sqlite_target}[kind](tmp_path / f"orders.{kind}")
    async with followed(tmp_path, ("--into", target.name)) as (producer, _):
        found = [name for (name,) in target.read("id")]
        assert len(found) == len(set(found)), "a record is there twice"
        assert set(found) == {f"r{batch}-{each}" for batch in range(producer.sent) for each in range(BATCH)}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("duckdb", marks=long), pytest.param("postgres", marks=long)])
async def test_a_table_of_the_state_has_it_after_random_kills(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Sequences, tombstones and erasures in between; the rest is the same."""
    if kind == "postgres":
        target = postgres_target(request.getfixturevalue("postgres_url"), f"t{uuid.uuid4().hex}")
    else:
        target = {"duckdb": duckdb_target, "sqlite": sqlite_target}[kind](tmp_path / f"orders.{kind}")
    words = ("--into", target.name, "--table", target.table, "--state")
    async with followed(tmp_path, words, Versions, record="tests.client.versions:Version") as (_, http):
        rows = target.read("delivery_key", "is_gone")
        for keys, asked in (
            ([key for key, _ in rows], {"tombstones": "include"}),
            ([key for key, is_gone in rows if not is_gone], {}),
        ):
            answer = await http.get("/v1/state", params={"limit": "all", "format": "ndjson", **asked})
            assert sorted(keys) == sorted(msgspec.json.decode(line)["delivery_key"] for line in answer.iter_lines())
            assert keys
