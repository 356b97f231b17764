"""A follower and the service are killed at random moments; the table of the user has every record exactly once."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from sluice.testing.pace import patience_s
from tests.client.command import line_with, run, start
from tests.client.targets import Target, duckdb_target, sqlite_target
from tests.long_form import IS_LONG, long
from tests.support import process as service_process
from tests.support.process import Process, served_keys

KILLS = 20 if IS_LONG else 3
BATCH = 120
_SEED = 20_261_123


class Scene(msgspec.Struct):
    """A service and a follower, both of which may be killed; a producer that repeats what was not acknowledged."""

    folder: Path
    target: Target
    keys_url: str
    rng: random.Random
    service: Process | None = None
    follower: asyncio.subprocess.Process | None = None
    port: str = ""
    sent: int = 0
    acknowledged: int = 0
    repeated: int = 0

    @property
    def url(self) -> str:
        """Where the service listens, in each of its lives."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def words(self) -> tuple[str, ...]:
        """The command, without `--once`."""
        return ("follow", self.url, "--into", self.target.name, "--table", self.target.table, "--wait", "1")

    async def start_service(self) -> None:
        """Start it where it was."""
        settings = {"token_keys_url": self.keys_url, "data_path": str(self.folder / "service.duckdb")}
        self.service = await service_process.start(**settings, **({"port": self.port} if self.port else {}))
        self.port = self.port or self.service.url.rpartition(":")[2]
        await self.service.line_with("listening")

    async def start_follower(self) -> None:
        """Start it, and wait until it has stored a page, so that it is killed in its work."""
        self.follower = await start(*self.words)
        await line_with(self.follower, "new records")

    async def kill(self, what: str) -> None:
        """Kill what the word names, and start it again."""
        if "follower" in what and self.follower is not None:
            self.follower.kill()
            await self.follower.wait()
        if "service" in what and self.service is not None:
            await self.service.kill()
            await self.start_service()
        if "follower" in what:
            await self.start_follower()

    async def produce(self, http: httpx.AsyncClient) -> None:
        """Send batches, each until it is acknowledged."""
        while True:
            number, self.sent = self.sent, self.sent + 1
            records = [
                {"id": f"r{number}-{each}", "timestamp": "2026-01-31T12:00:00Z", "data": {"n": each}}
                for each in range(BATCH)
            ]
            while not await self._is_stored(http, records, f"batch-{number}"):
                self.repeated += 1
            self.acknowledged += 1

    async def _is_stored(self, http: httpx.AsyncClient, records: list[dict[str, Any]], key: str) -> bool:
        try:
            answer = await http.post(f"{self.url}/v1/records", json=records, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            await asyncio.sleep(0)
            return False
        return answer.status_code == 201

    async def some_batches(self) -> None:
        """Wait until a random number of further batches was acknowledged."""
        enough = self.acknowledged + self.rng.randint(1, 12)
        async with asyncio.timeout(patience_s(60)):
            while self.acknowledged < enough:  # noqa: ASYNC110 - to end at a random moment after it
                await asyncio.sleep(self.rng.random() / 100)


@asynccontextmanager
async def scene(folder: Path, target: Target) -> AsyncIterator[Scene]:
    """Set the scene; whatever runs at its end is killed."""
    with served_keys() as keys_url:
        made = Scene(folder, target, keys_url, random.Random(_SEED))
        try:
            yield made
        finally:
            for process in (made.follower, made.service.process if made.service else None):
                if process is not None and process.returncode is None:
                    process.kill()
                    await process.wait()


@pytest.mark.parametrize("kind", ["duckdb", pytest.param("sqlite", marks=long)])
async def test_every_record_is_there_once_after_random_kills(kind: str, tmp_path: Path) -> None:
    """Killed without warning in their work, both of them, while a producer repeats what was not acknowledged."""
    targets = {
        "duckdb": lambda: duckdb_target(tmp_path / "orders.duckdb"),
        "sqlite": lambda: sqlite_target(tmp_path / "orders.sqlite"),
    }
    async with scene(tmp_path, targets[kind]()) as made:
        await made.start_service()
        async with httpx.AsyncClient(timeout=patience_s(30)) as http:
            producer = asyncio.create_task(made.produce(http))
            await made.start_follower()
            kills = (["follower", "service", "follower and service"] * KILLS)[:KILLS]
            made.rng.shuffle(kills)
            for what in kills:
                await made.some_batches()
                assert not producer.done(), producer
                await made.kill(what)
            await made.some_batches()
            enough = made.acknowledged
            producer.cancel()
            await asyncio.wait([producer])
        assert made.follower is not None
        made.follower.kill()
        await made.follower.wait()
        ended = await run(*made.words, "--once")
        assert ended.status == 0, ended.said
        found = [name for (name,) in made.target.read("id")]
        assert len(found) == len(set(found)), "a record is there twice"
        expected = {f"r{batch}-{each}" for batch in range(enough) for each in range(BATCH)}
        assert expected <= set(found), "an acknowledged record is missing"
        rest = {f"r{enough}-{each}" for each in range(BATCH)} if made.sent > enough else set()
        assert set(found) - expected <= rest, "a record is there that was never sent"
        assert made.repeated > 0, "no request was interrupted: the kills missed the service"
