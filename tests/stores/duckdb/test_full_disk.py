"""A disk without room: refused by name before it is full, survived when it is, and over without a restart.

A real service runs in a process of its own whose files may not grow (RLIMIT_FSIZE, set and lifted from outside). Its
writes fail as they do on a full disk (EFBIG for ENOSPC), without a file system for the test.
"""

import asyncio
import base64
import os
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from app.stores.duckdb.file import DiskSpace
from sluice.testing.clock import FakeClock
from sluice.testing.service import GOOD, SETTINGS, authorization, envelope, running
from tests.long_form import long
from tests.support.process import Process, serving

MIB = 1024**2
RECORD_BYTES = 700_000
PATIENCE_S = 60


def full_records(number: int) -> list[dict[str, Any]]:
    """Return the records of a message that no compression makes smaller."""
    text = base64.b64encode(os.urandom(RECORD_BYTES // 2)).decode()
    return [{**GOOD, "id": f"r{number}-{part}", "data": text} for part in range(2)]


async def states(client: httpx.AsyncClient) -> set[str]:
    """Return the states of the sinks."""
    ready = (await client.get("/health/ready")).json()
    return {sink["state"] for sink in ready["sinks"].values()}


class Filling(NamedTuple):
    """A service whose disk is being filled."""

    process: Process
    client: httpx.AsyncClient
    acknowledged: list[str]

    def limit_files(self, size_bytes: int) -> None:
        """Let no file of the service grow beyond `size_bytes`; -1 lifts the limit."""
        resource.prlimit(self.process.process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))

    async def push(self, number: int) -> int:
        """Push a message of two records; return the status."""
        records = full_records(number)
        body = envelope(msgspec.json.encode(records), message_id=str(number))
        answer = await self.client.post("/pubsub/push", content=body, headers=authorization())
        if answer.status_code == 204:
            self.acknowledged.extend(record["id"] for record in records)
        return answer.status_code

    async def fill(self) -> int:
        """Push until a message is refused; return the number of the next one."""
        number = 0
        async with asyncio.timeout(PATIENCE_S):
            while await self.push(number) == 204:
                number += 1
        return number + 1

    async def stored(self) -> list[str]:
        answer = await self.client.get("/v1/records", params={"limit": "all", "format": "ndjson", "fields": "id"})
        assert answer.status_code == 200, answer.text
        return [msgspec.json.decode(line)["id"] for line in answer.content.splitlines()]


@asynccontextmanager
async def filling(path: Path) -> AsyncIterator[Filling]:
    """Run a service that does not watch its disk."""
    async with serving(path / "data.duckdb", {"min_free_disk_bytes": 0}) as (process, client):
        yield Filling(process, client, [])


# Below 16 MiB the write-ahead log meets the limit, and the transaction is rolled back. Above it a checkpoint does,
# behind a commit that is durable, and DuckDB declares the database invalid.
@pytest.mark.parametrize(
    "limit_bytes", [pytest.param(8 * MIB, id="log", marks=long), pytest.param(20 * MIB, id="checkpoint")]
)
async def test_a_full_disk_is_survived_without_a_restart(tmp_path: Path, limit_bytes: int) -> None:
    """Records are refused by name while reads go on; with room again they are taken, and nothing is lost or halved."""
    async with filling(tmp_path) as service:
        service.limit_files(limit_bytes)
        number = await service.fill()
        assert "DISK_FULL" in await states(service.client)
        strict = await service.client.get("/health/ready", params={"strict": "1"})
        live = await service.client.get("/health/live")
        assert (strict.status_code, live.status_code) == (503, 200)
        refused = await service.client.post("/v1/records", json=GOOD)
        assert refused.status_code == 503
        assert "DISK_FULL" in refused.json()["detail"]
        assert set(service.acknowledged) <= set(await service.stored()), "reads go on"
        if limit_bytes > 16 * MIB:
            await service.process.line_with("reopened the database")
        service.limit_files(resource.RLIM_INFINITY)
        async with asyncio.timeout(PATIENCE_S):
            while await states(service.client) != {"ACTIVE"}:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.1)
        assert await service.push(number) == 204
        stored = await service.stored()
        assert set(service.acknowledged) <= set(stored)
        assert len(stored) == len(set(stored))
        parts = {record_id.partition("-")[0] for record_id in stored}
        assert sorted(stored) == sorted(f"{name}-{part}" for name in parts for part in range(2)), (
            "nothing is half stored"
        )
        assert await service.process.terminate() == 0
    async with serving(tmp_path / "data.duckdb") as (process, client):
        again = Filling(process, client, [])
        assert set(service.acknowledged) <= set(await again.stored())


@pytest.fixture
def free_bytes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Stand in for the file system: `free` is what it says it has left."""
    found = {"free": 1024 * MIB}

    class Answer(NamedTuple):
        f_bavail: int
        f_frsize: int

    monkeypatch.setattr("app.stores.duckdb.file.os.statvfs", lambda _: Answer(found["free"] // 4096, 4096))
    return found


async def test_records_are_refused_before_the_disk_is_full(tmp_path: Path, free_bytes: dict[str, int]) -> None:
    """Below the reserve with 503, reads going on; and taken again within seconds of there being room."""
    settings = SETTINGS.replace(data_path=str(tmp_path / "data.duckdb"))
    clock = FakeClock()
    async with running(settings, clock) as service:
        assert (await service.push(GOOD, message_id="1")).status_code == 204
        free_bytes["free"] = settings.store.min_free_disk_bytes - 4096
        refused = await service.push({**GOOD, "id": "b"}, message_id="2")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert (await service.client.get("/v1/records/a")).status_code == 200
        ready = await service.client.get("/health/ready", params={"strict": "1"})
        sink = ready.json()["sinks"]["records"]
        assert (ready.status_code, sink["state"]) == (503, "DISK_FULL")
        assert "255 MiB free" in sink["detail"]
        assert sink["help"] == "docs/runbook.md#sink-state-disk_full"
        free_bytes["free"] = 1024 * MIB
        async with asyncio.timeout(PATIENCE_S):
            while (await service.client.get("/health/ready", params={"strict": "1"})).status_code == 503:
                await clock.advance(1)
        assert (await service.push({**GOOD, "id": "b"}, message_id="2")).status_code == 204


async def test_room_without_a_working_disk_is_not_active(tmp_path: Path, free_bytes: dict[str, int]) -> None:
    """The state ends with a write that worked, not with time: forty quiet seconds used to be enough."""
    settings = SETTINGS.replace(data_path=str(tmp_path / "data.duckdb"))
    clock = FakeClock()
    async with running(settings, clock) as service:
        free_bytes["free"] = 0
        assert (await service.push(GOOD)).status_code == 503
        for _ in range(200):
            await clock.advance(1)
        assert await states(service.client) == {"DISK_FULL"}


def test_memory_and_a_watch_that_is_off_are_never_short(free_bytes: dict[str, int], tmp_path: Path) -> None:
    """A store without a file has no disk, and 0 turns the watch off."""
    free_bytes["free"] = 0
    assert DiskSpace(":memory:", 1).shortage() is None
    assert DiskSpace(str(tmp_path / "a"), 0).shortage() is None
    assert DiskSpace(str(tmp_path / "a"), 1).shortage() is not None


def test_a_folder_that_is_gone_is_a_shortage(tmp_path: Path) -> None:
    """Nothing can be written there, either."""
    assert "cannot be examined" in (DiskSpace(str(tmp_path / "gone" / "data"), 1).shortage() or "")
