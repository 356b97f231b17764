"""The dlt source of docs/read.md: each record once in the destination, over real kills of the pipeline."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from sluice.testing.pace import patience_s
from tests.support.process import ROOT, serving

SOURCE = ROOT / "examples" / "dlt" / "sluice_source.py"
LOAD = """
import sys
import dlt
from sluice_source import sluice
pipeline = dlt.pipeline("shop", destination=dlt.destinations.duckdb("warehouse.duckdb"), dataset_name="shop")
pipeline.run(sluice(sys.argv[1], **dict(word.split("=", 1) for word in sys.argv[2:])))
"""
Place = Callable[[Path], bool]


def _holds(*pattern: str) -> Place:
    """Return whether dlt's working folder has files like these."""
    return lambda folder: any(any(folder.glob(each)) for each in pattern)


PLACES = {
    "before the load begins": _holds("load/normalized/*/new_jobs/*.parquet", "load/normalized/*/new_jobs/*records*"),
    "after a part was loaded": _holds("load/normalized/*/completed_jobs/*records*"),
}


async def start(folder: Path, *words: str) -> asyncio.subprocess.Process:
    """Start a load into warehouse.duckdb of this folder."""
    shutil.copy(SOURCE, folder)
    environ = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(folder / "dlt")}
    return await asyncio.create_subprocess_exec(sys.executable, "-c", LOAD, *words, cwd=folder, env=environ)


async def load(folder: Path, *words: str) -> None:
    """Load what there is."""
    assert await (await start(folder, *words)).wait() == 0


async def load_and_kill(folder: Path, url: str, place: Place) -> bool:
    """Kill a load when it has come to a place; return whether it was killed before it ended."""
    process = await start(folder, url)
    working = folder / "dlt" / "pipelines" / "shop"
    async with asyncio.timeout(patience_s(60)):
        while process.returncode is None and not await asyncio.to_thread(place, working):  # noqa: ASYNC110 - of a process
            await asyncio.sleep(0.002)
    if process.returncode is None:
        process.kill()
    return await process.wait() < 0


def rows(folder: Path, columns: str = "id, delivery_key", table: str = "records") -> list[tuple[Any, ...]]:
    """Return what the destination holds."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as warehouse:
        return warehouse.execute(f"SELECT {columns} FROM shop.{table} ORDER BY ALL").fetchall()  # noqa: S608 - a test's


async def publish(client: httpx.AsyncClient, first: int, count: int) -> None:
    """Store records."""
    records = [
        {"id": f"r{number:05}", "timestamp": "2026-01-31T12:00:00Z", "source": "s", "data": {"n": number, "l": [1]}}
        for number in range(first, first + count)
    ]
    assert (await client.post("/v1/records", json=records)).status_code == 201


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_each_record_is_there_once_over_kills(tmp_path: Path) -> None:
    """Records go on arriving; the load is killed wherever it may be, and started again."""
    killed = []
    async with serving(tmp_path / "data.duckdb") as (process, client):
        total = 0
        for name, place in PLACES.items():
            await publish(client, total, 500)
            total += 500
            if await load_and_kill(tmp_path, process.url, place):
                killed.append(name)
        await load(tmp_path, process.url)
        await load(tmp_path, process.url)
        feed = [(each["id"], each["delivery_key"]) for each in await every_record(client)]
    assert len(killed) >= len(PLACES) - 1, killed
    assert len(feed) == total
    assert rows(tmp_path) == sorted(feed)


async def every_record(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Return the whole feed."""
    found, where = [], "since=-P1D"
    while where:
        page = (await client.get(f"/v1/records?limit=1000&{where}")).json()
        found += page["records"]
        where = f"cursor={page['next_cursor']}" if page["next_cursor"] else ""
    return found
