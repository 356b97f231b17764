"""The service as a real process, with a key set served over real HTTP."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import msgspec

from sluice.testing import tokens
from sluice.testing.pace import patience_s
from tests.support.http_server import Handler, serving_http

ROOT = Path(__file__).parents[2]


@contextmanager
def served_keys() -> Iterator[str]:
    """Serve the tests' own key set; the value is its URL."""

    class Keys(Handler):
        def do_GET(self) -> None:
            self.reply(msgspec.json.encode(tokens.certs()), Cache_Control="public, max-age=3600")

    with serving_http(Keys) as url:
        yield f"{url}/certs"


def free_port() -> int:
    """Return a port on which no process listens right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process(msgspec.Struct):
    """A running service."""

    process: asyncio.subprocess.Process
    url: str
    said: list[str] = []
    """The lines of its log that were read."""

    async def line_with(self, words: str) -> str:
        """Read the log up to a line that contains `words`, and return it."""
        assert self.process.stdout is not None
        begun = len(self.said)
        async with asyncio.timeout(patience_s(60)):
            while line := (await self.process.stdout.readline()).decode():
                self.said.append(line)
                if words in line:
                    return line
        raise AssertionError(f"the process ended without saying {words!r}: {''.join(self.said[begun:])}")

    async def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        await self.process.wait()

    async def terminate(self) -> int:
        """End it as the platform does; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(patience_s(60)):
            return await self.process.wait()


def program(numbers: Mapping[str, float | str] | None) -> tuple[str, ...]:
    """Return the command that runs the service, with these values of fields that are no settings."""
    if not numbers:
        return (sys.executable, "-P", "-m", "app")
    return (sys.executable, "-P", "-m", "tests.support.with_numbers", msgspec.json.encode(numbers).decode())


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service with these settings, which are named without SLUICE_, and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PORT"))}
    trusted = {
        "push_principals": tokens.PUSHER,
        "push_audience": tokens.AUDIENCE,
        "token_issuer": tokens.ISSUER,
    }
    return kept | {f"SLUICE_{name.upper()}": value for name, value in {**trusted, **settings}.items()}


async def start(numbers: Mapping[str, float | str] | None = None, /, **settings: str) -> Process:
    """Start the service without waiting for it; settings are named without SLUICE_, and its port is free by default.

    `numbers`: other values of fields that no variable sets.
    """
    port = settings.setdefault("port", str(free_port()))
    process = await asyncio.create_subprocess_exec(
        *program(numbers),
        cwd=ROOT,
        env=environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return Process(process, f"http://127.0.0.1:{port}")


@asynccontextmanager
async def serving(
    data_path: Path, numbers: Mapping[str, float | str] | None = None, /, **settings: str
) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """Run the service until the block ends, however it ends; the block begins once it has its key set."""
    with served_keys() as keys_url:
        running = await start(numbers, token_keys_url=keys_url, data_path=str(data_path), **settings)
        try:
            await running.line_with("listening")
            async with httpx.AsyncClient(base_url=running.url, timeout=patience_s(30)) as client:
                await _wait_until_started(client)
                yield running, client
        finally:
            if running.process.returncode is None:
                await running.kill()


async def _wait_until_started(client: httpx.AsyncClient) -> None:
    """Wait until the service is no longer starting: it listens before it has fetched the key set."""
    async with asyncio.timeout(patience_s(30)):
        while (await client.get("/health/ready")).json()["status"] == "starting":  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
