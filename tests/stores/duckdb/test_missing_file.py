"""The store's file is deleted, moved or replaced under a running service: nothing more is acknowledged."""

import asyncio
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import pytest

from app.stores.sink import Stored
from sluice.testing.clock import FakeClock
from sluice.testing.pace import patience_s
from sluice.testing.service import GOOD, SETTINGS, authorization, envelope, running
from tests.long_form import long
from tests.stores.duckdb.test_store import RECORDS, opened, row
from tests.support.process import Process, serving

RUN_BOOK = Path(__file__).parents[3] / "docs" / "runbook.md"


async def push(client: httpx.AsyncClient, record_id: str) -> int:
    """Push a record; return the status."""
    body = envelope(b'{"id": "%s", "timestamp": "%s"}' % (record_id.encode(), GOOD["timestamp"].encode()), record_id)
    return (await client.post("/pubsub/push", content=body, headers=authorization())).status_code


async def stored(client: httpx.AsyncClient) -> list[str]:
    """Return the ids in the feed."""
    return [record["id"] for record in (await client.get("/v1/records")).json()["records"]]


async def sink(client: httpx.AsyncClient) -> dict[str, str]:
    """Return what readiness says of the records' table."""
    return dict((await client.get("/health/ready")).json()["sinks"]["records"])


def delete(path: Path) -> None:
    """Delete the file and its write-ahead log."""
    for each in path.parent.glob("*"):
        each.unlink()


def move(path: Path) -> None:
    """Rename the folder."""
    path.parent.rename(path.parent.with_name("moved"))


def replace(path: Path) -> None:
    """Put other files in place of both."""
    for each in (path, Path(f"{path}.wal")):
        each.unlink()
        each.write_bytes(b"a backup")


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Assert that no file of the folder appears, changes or goes."""
    before = {each.name: each.read_bytes() for each in folder.glob("*")}
    yield
    assert {each.name: each.read_bytes() for each in folder.glob("*")} == before


@pytest.mark.parametrize("removed", [delete, pytest.param(move, marks=long), pytest.param(replace, marks=long)])
async def test_nothing_is_acknowledged_without_the_file(tmp_path: Path, removed: Callable[[Path], None]) -> None:
    """An append to a file that is not at its path answers 503 under a state of its own, and a stop touches nothing."""
    path = tmp_path / "data" / "sluice.duckdb"
    async with serving(path, {"min_free_disk_bytes": 0}) as (process, client):
        assert await push(client, "a") == 204
        removed(path)
        with unchanged(path.parent):
            assert await push(client, "b") == 503
            state = await sink(client)
            assert (state["state"], state["help"]) == ("FILE_MISSING", "docs/runbook.md#sink-state-file_missing")
            assert state["detail"] == f"{path} was deleted, moved or replaced while the service had it open"
            assert (await client.get("/health/ready?strict=1")).status_code == 503
            assert str(path) in await process.line_with("FILE_MISSING")
            assert await stored(client) == ["a"], "reads go on"
            assert (await client.delete("/v1/records/a")).status_code == 503
            assert await process.terminate() == 0


async def test_readiness_alone_notices_that_the_file_is_missing(tmp_path: Path) -> None:
    """Before any message meets it; and the state ends once the file is moved back."""
    path, clock = tmp_path / "data" / "sluice.duckdb", FakeClock()
    async with running(SETTINGS.replace(data_path=str(path)), clock) as service:
        assert await push(service.client, "a") == 204
        move(path)
        assert (await sink(service.client))["state"] == "FILE_MISSING"
        (tmp_path / "moved").rename(path.parent)
        async with asyncio.timeout(patience_s(30)):
            while (await service.client.get("/health/ready?strict=1")).status_code == 503:
                await clock.advance(1)
        assert await push(service.client, "b") == 204
        assert await stored(service.client) == ["a", "b"]


async def test_rows_outlast_a_deleted_write_ahead_log(tmp_path: Path) -> None:
    """The append that finds it gone merges what it held into the file, before it is acknowledged."""
    path = tmp_path / "data.duckdb"
    store = opened(path)
    appender = store.appender(RECORDS)
    assert await appender.append([row(appender, "a")]) == Stored()
    (tmp_path / "data.duckdb.wal").unlink()
    assert await appender.append([row(appender, "b")]) == Stored()
    crashed = tmp_path / "crashed.duckdb"
    crashed.write_bytes(path.read_bytes())
    with duckdb.connect(str(crashed)) as reader:
        assert reader.execute("SELECT id FROM records ORDER BY id").fetchall() == [("a",), ("b",)]
    store.close()


def rescue(process: Process, path: Path) -> None:
    """Run the commands of the run-book, in a shell that stops at the first failure."""
    section = RUN_BOOK.read_text().partition("### Sink state FILE_MISSING")[2]
    commands = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert commands is not None
    environ = {"PID": str(process.process.pid), "SLUICE_DATA_PATH": str(path), "PATH": "/usr/bin:/bin"}
    subprocess.run(["/bin/sh", "-ec", commands[1]], env=environ, cwd=path.parent.parent, check=True)


async def test_the_run_book_saves_a_deleted_file(tmp_path: Path) -> None:
    """Every acknowledged record is there after the restart."""
    path = tmp_path / "data" / "sluice.duckdb"
    async with serving(path) as (process, client):
        for record_id in "abc":
            assert await push(client, record_id) == 204
        delete(path)
        assert await push(client, "d") == 503
        await asyncio.gather(asyncio.to_thread(rescue, process, path), process.process.wait())
    async with serving(path) as (_, client):
        assert await stored(client) == ["a", "b", "c"]
