"""A follower and the service are killed at random moments; the table of the user has every record exactly once."""

import asyncio
import random
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.client.command import line_with, run, start
from tests.client.targets import duckdb_target, sqlite_target
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

    async def run(self) -> None:
        """Send without end."""
        while True:
            number, self.sent = self.sent, self.sent + 1
            records = [
                {"id": f"r{number}-{each}", "timestamp": "2026-01-31T12:00:00Z", "data": {"n": each}}
                for each in range(BATCH)
            ]
            while not await self._is_stored(records, f"batch-{number}"):
                self.repeated += 1
            self.acknowledged += 1

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


async def follow(words: tuple[str, ...]) -> asyncio.subprocess.Process:
    """Start a follower, and wait until it has stored a page, so that it is killed in its work."""
    follower = await start(*words)
    await line_with(follower, "new records")
    return follower


@pytest.mark.parametrize("kind", ["duckdb", pytest.param("sqlite", marks=long)])
async def test_every_record_is_there_once_after_random_kills(kind: str, tmp_path: Path) -> None:
    """Killed without warning in their work, both of them, while a producer repeats what was not acknowledged."""
    target = {"duckdb": duckdb_target, "sqlite": sqlite_target}[kind](tmp_path / f"orders.{kind}")
    rng, port = random.Random(_SEED), str(free_port())
    kills = (["follower", "service", "follower and service"] * KILLS)[:KILLS]
    rng.shuffle(kills)
    with served_keys() as keys_url:
        settings = {"token_keys_url": keys_url, "data_path": str(tmp_path / "service.duckdb"), "port": port}
        url = f"http://127.0.0.1:{port}"
        words = ("follow", url, "--into", target.name, "--table", target.table, "--wait", "1")
        async with fleet(1, settings) as services:
            async with httpx.AsyncClient(base_url=url, timeout=patience_s(30)) as http:
                producer = Producer(http, rng)
                producing = asyncio.create_task(producer.run())
                follower = await follow(words)
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
                            follower = await follow(words)
                    await producer.some_batches()
                finally:
                    follower.kill()
                    await follower.wait()
                enough = producer.acknowledged
                producing.cancel()
                await asyncio.wait([producing])
            ended = await run(*words, "--once")
    assert ended.status == 0, ended.said
    found = [name for (name,) in target.read("id")]
    assert len(found) == len(set(found)), "a record is there twice"
    expected = {f"r{batch}-{each}" for batch in range(enough) for each in range(BATCH)}
    assert expected <= set(found), "an acknowledged record is missing"
    rest = {f"r{enough}-{each}" for each in range(BATCH)} if producer.sent > enough else set()
    assert set(found) - expected <= rest, "a record is there that was never sent"
    assert producer.repeated > 0, "no request was interrupted: the kills missed the service"
