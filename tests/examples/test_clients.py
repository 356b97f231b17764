"""The programs of examples/clients against the service as a real process."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import duckdb
import httpx

from sluice.testing.pace import patience_s
from tests.support.process import ROOT, serving


async def store(client: httpx.AsyncClient, first: int, count: int) -> set[str]:
    """Store that many records, and return their ids."""
    records: list[dict[str, Any]] = [
        {"id": f"r-{number}", "timestamp": "2026-01-31T12:00:00Z", "source": "ab"[number % 2], "data": {"n": number}}
        for number in range(first, first + count)
    ]
    answer = await client.post("/v1/records", json=records)
    assert answer.status_code == 201
    return {str(record["id"]) for record in records}


@asynccontextmanager
async def program(name: str, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "clients" / f"{name}.py"),
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def output(name: str, *words: str) -> list[str]:
    """Run a program to its end and return its lines."""
    async with program(name, *words) as process, asyncio.timeout(patience_s(60)):
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode().splitlines()


async def told(process: asyncio.subprocess.Process, count: int) -> None:
    """Read what `follow` says until it has stored so many records."""
    assert process.stdout is not None
    async with asyncio.timeout(patience_s(60)):
        while count > 0:
            line = (await process.stdout.readline()).decode()
            assert line, "it ended"
            count -= int(line.split()[0]) if " records, up to " in line else 0


async def test_a_follower_has_every_record_once(tmp_path: Path) -> None:
    """Also when it is killed and started again, and when the service is gone for a while."""
    file, data = str(tmp_path / "records.sqlite"), tmp_path / "s.duckdb"
    async with serving(data) as (service, client):
        ids = await store(client, 0, 1_500)
        async with program("follow", service.url, file) as follower:
            await told(follower, 1_500)
        ids |= await store(client, 1_500, 10)
        async with program("follow", service.url, file) as follower:
            await told(follower, 10)
            await service.kill()
            async with serving(data, port=service.url.rpartition(":")[2]) as (_, again):
                ids |= await store(again, 1_510, 10)
                await told(follower, 10)
    with closing(sqlite3.connect(file)) as database:
        found = [name for (name,) in database.execute("SELECT record ->> 'id' FROM records")]
    assert set(found) == ids
    assert len(found) == len(ids) == 1_520


async def test_a_duckdb_file_takes_what_is_new(tmp_path: Path) -> None:
    """The first run loads what there is, the next one only what came since, and one without news nothing."""
    file = str(tmp_path / "records.duckdb")
    async with serving(tmp_path / "s.duckdb") as (service, client):
        await store(client, 0, 2_500)
        assert await output("load_duckdb", service.url, file) == ["2500 records"]
        await store(client, 2_500, 100)
        assert await output("load_duckdb", service.url, file) == ["2600 records"]
        assert await output("load_duckdb", service.url, file) == ["2600 records"]
    with duckdb.connect(file) as records:
        assert records.execute("SELECT count(DISTINCT id), typeof(any_value(ingest_time)) FROM records").fetchall() == [
            (2_600, "TIMESTAMP WITH TIME ZONE")
        ]
