"""What is compared, each as a process of its own on one core: how it is started, and when it is ready."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from bench.ingest.ceilings import CEILINGS
from bench.places import ROOT
from sluice.testing import tokens
from tests.support.process import free_port

_READY_WITHIN_S = 60.0
_LOOK_AGAIN_S = 0.02
SLUICE = "sluice"
CONTENDERS = (*CEILINGS, SLUICE)
Said = TypeVar("Said")


class Cores(msgspec.Struct, frozen=True):
    """Which core the service under test has, and which one the load and the store; the same where there is one."""

    service: list[int]
    load: list[int]

    @classmethod
    def of_this_machine(cls) -> Self:
        """Return the first two that this process may use."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[:1], allowed[1:2] or allowed)


class Program(msgspec.Struct, frozen=True):
    """The code of a service, and the Python with its packages that runs it."""

    python: str
    tree: Path


THIS = Program(sys.executable, ROOT)


class Store:
    """The null store, in a process of its own: what it acknowledges it has counted."""

    def __init__(self, process: asyncio.subprocess.Process, grpc_url: str) -> None:
        self._process, self.grpc_url = process, grpc_url

    @classmethod
    @asynccontextmanager
    async def open(cls, core: list[int]) -> AsyncIterator[Self]:
        """Run it until the block ends."""
        process = await start([sys.executable, "-m", "bench.null_store"], core, talks=True)
        try:
            yield cls(process, (await _line(process, dict[str, str]))["grpc"])
        finally:
            process.kill()
            await process.wait()

    async def acknowledge_after(self, ack_ms: float) -> None:
        """Change how long it takes to acknowledge."""
        await self._ask(f"ack {ack_ms}")

    async def rows(self) -> int:
        """Return how many rows it was given so far."""
        return int((await self._ask("counts"))["rows"])

    async def _ask(self, words: str) -> dict[str, float]:
        if self._process.stdin is None:
            raise SystemExit("the null store has no standard input")
        self._process.stdin.write(f"{words}\n".encode())
        return await _line(self._process, dict[str, float])


class Contender(msgspec.Struct):
    """One that runs."""

    name: str
    process: asyncio.subprocess.Process
    port: int
    pushed: int = 0
    """How many messages were pushed to it so far, so that no two are the same."""

    @property
    def pids(self) -> list[int]:
        """Its process and those that it has started."""
        found = [self.process.pid]
        for pid in found:
            with suppress(FileNotFoundError):  # a thread may end meanwhile
                for task in Path(f"/proc/{pid}/task").iterdir():
                    found += [int(child) for child in (task / "children").read_text().split()]
        return found


def commands(store: Store, keys_url: str, ack_ms: float) -> dict[str, tuple[list[str], Mapping[str, str]]]:
    """Return the words of each contender's command, without the port, and its settings."""
    found: dict[str, tuple[list[str], Mapping[str, str]]] = {
        name: (["bench.ingest.ceilings", name, f"--ack-ms={ack_ms}"], {}) for name in CEILINGS
    }
    found[SLUICE] = (["app"], service_settings(store.grpc_url, keys_url))
    return found


def service_settings(grpc_url: str, keys_url: str) -> dict[str, str]:
    """Return the settings of the service over the null store; traces and metrics as by default in production."""
    return {
        "SLUICE_BACKEND": "bigquery",
        "SLUICE_BIGQUERY_PROJECT": "p",
        "SLUICE_BIGQUERY_DATASET": "d",
        "SLUICE_BIGQUERY_STORAGE_URL": grpc_url,
        "SLUICE_BIGQUERY_REST_URL": "http://127.0.0.1:1",  # nobody asks for a record back
        "SLUICE_PUSH_PRINCIPALS": tokens.PUSHER,
        "SLUICE_PUSH_AUDIENCE": tokens.AUDIENCE,
        "SLUICE_TOKEN_ISSUER": tokens.ISSUER,
        "SLUICE_TOKEN_KEYS_URL": keys_url,
    }


@asynccontextmanager
async def running(
    name: str, words: list[str], settings: Mapping[str, str], core: list[int], program: Program = THIS
) -> AsyncIterator[Contender]:
    """Run a contender until the block ends; it is ready when the block begins."""
    port = free_port()
    if words[0] in {"app", "tests.support.with_numbers"}:
        settings = {**settings, "SLUICE_PORT": str(port)}
    else:
        words = [*words, f"--port={port}"]
    process = await start([program.python, "-m", *words], core, settings, tree=program.tree)
    try:
        await _ready(process, port, name)
        yield Contender(name, process, port)
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(15):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def start(
    command: list[str],
    core: list[int],
    settings: Mapping[str, str] | None = None,
    *,
    talks: bool = False,
    tree: Path = ROOT,
) -> asyncio.subprocess.Process:
    """Start a process pinned to `core`; its log is dropped, but for what goes wrong."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PORT", "PYTHON"))
    }
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)  # the child inherits it
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=tree,
            env=environment | dict(settings or {}),
            stdin=pipe if talks else nothing,
            stdout=pipe if talks else nothing,
            stderr=nothing if settings else None,
        )
    finally:
        os.sched_setaffinity(0, everywhere)


async def _ready(process: asyncio.subprocess.Process, port: int, name: str) -> None:
    async with asyncio.timeout(_READY_WITHIN_S):
        while process.returncode is None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                said = await reader.readline()
                writer.close()
                if said.split(b" ")[1:2] in ([b"200"], [b"204"]):
                    return
            except OSError:
                pass
            await asyncio.sleep(_LOOK_AGAIN_S)
    raise SystemExit(f"{name} did not start")


async def _line(process: asyncio.subprocess.Process, kind: type[Said]) -> Said:
    if process.stdout is None:
        raise SystemExit("the process has no standard output")
    line = await process.stdout.readline()
    if not line:
        raise SystemExit("the process has ended")
    return msgspec.json.decode(line, type=kind)
