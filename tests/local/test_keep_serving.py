"""`up` survives a service that ends: it says so, starts it again, and no message is lost or doubled."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from sluice.local.stack_settings import topic_name
from sluice.testing.pace import patience_s
from tests.smoking import smoke

WITHIN_S = 120.0


class Up:
    """A running `sluice up`, with what it has said so far."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.process, self.folder, self.said = process, folder, ""

    async def until(self, words: str) -> str:
        """Read on until it has said `words`; return all that it said."""
        assert self.process.stdout is not None
        async with asyncio.timeout(patience_s(WITHIN_S)):
            while words not in self.said:
                line = await self.process.stdout.readline()
                assert line, self.said
                self.said += line.decode()
        return self.said

    @property
    def url(self) -> str:
        """Where the service is."""
        (found,) = re.findall(r"look at it +(http://\S+)/", self.said)
        return str(found)

    @property
    def pubsub_host(self) -> str:
        """Where the local Pub/Sub is."""
        (found,) = re.findall(r"PUBSUB_EMULATOR_HOST=(\S+)", self.said)
        return str(found)

    def service(self) -> int:
        """Return the process id of the service."""
        (found,) = (pid for pid in children(self.process.pid) if command(pid)[-2:] == ["-m", "app"])
        return found

    async def publish(self, number: int) -> None:
        """Publish a record with the command, as a person does."""
        publisher = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sluice", "publish", "--pubsub-host", self.pubsub_host), stdin=-1, stdout=-3
        )
        await publisher.communicate(b'{"id": "r%d", "timestamp": "2026-01-31T12:00:00Z"}' % number)
        assert publisher.returncode == 0


def children(parent: int) -> Iterator[int]:
    """Yield the processes that `parent` started."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"\nPPid:\t{parent}\n" in (entry / "status").read_text():
                yield int(entry.name)


def command(pid: int) -> list[str]:
    """Return the command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")


@contextlib.asynccontextmanager
async def running_up(folder: Path, **environ: str) -> AsyncIterator[Up]:
    """Run `sluice up` over a new store."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sluice", "up", "--port", "0", "--data-path", str(folder / "store.duckdb")),
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    up = Up(process, folder)
    try:
        yield up
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the service's process in /proc")


async def test_a_killed_service_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    """Killed with records on their way: each is in the feed, as is what a smoke test sends; Ctrl-C ends it with 0."""
    async with running_up(tmp_path) as up:
        await up.until("Ctrl-C stops everything")
        await up.publish(1)
        os.kill(up.service(), signal.SIGKILL)
        await up.publish(2)
        assert "service was ended by SIGKILL" in await up.until("the service is ready again")
        for way in ([], ["--topic", topic_name(), "--secret-file", str(tmp_path / "signing-secret")]):
            smoked = await smoke("--url", up.url, *way, PUBSUB_EMULATOR_HOST=up.pubsub_host)
            assert smoked.status == 0, smoked.out + smoked.said
        assert "It is a canary" in smoked.out
        async with httpx.AsyncClient(base_url=up.url) as client, asyncio.timeout(patience_s(WITHIN_S)):
            found: list[str] = []
            while len(found) < 3:
                found = [each["id"] for each in (await client.get("/v1/records")).json()["records"]]
        assert {"r1", "r2"} <= set(found)
        up.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(patience_s(WITHIN_S)):
            assert await up.process.wait() == 0


async def test_a_service_that_cannot_start_is_not_started_for_ever(tmp_path: Path) -> None:
    """Its file is gone and cannot be made again: the service says why, and `up` ends with status 1."""
    async with running_up(tmp_path) as up:
        await up.until("Ctrl-C stops everything")
        os.kill(up.service(), signal.SIGSTOP)  # it does not write to the file below
        pid = up.service()
        (tmp_path / "store.duckdb").write_bytes(b"this is no database" * 1000)
        os.kill(pid, signal.SIGKILL)
        await up.until("it is not started again: mend the cause")
        assert "cannot start: " in up.said
        async with asyncio.timeout(patience_s(WITHIN_S)):
            assert await up.process.wait() == 1
