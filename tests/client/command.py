"""`sluice-client` as a real process."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from sluice.testing.pace import patience_s
from tests.support.process import ROOT

_WAIT_S = 60


class Ended(NamedTuple):
    """How a command ended: its status, and what it wrote to stderr."""

    status: int
    said: str


async def start(*words: str) -> asyncio.subprocess.Process:
    """Start a command."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sluice_client", *words),
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def command(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command until the block ends."""
    process = await start(*words)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(*words: str) -> Ended:
    """Run a command to its end."""
    process = await start(*words)
    try:
        async with asyncio.timeout(patience_s(_WAIT_S)):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, said.decode())


async def line_with(process: asyncio.subprocess.Process, words: str) -> str:
    """Read what a command says up to a line that contains `words`, and return it."""
    assert process.stderr is not None
    said = list[str]()
    async with asyncio.timeout(patience_s(_WAIT_S)):
        while line := (await process.stderr.readline()).decode():
            said.append(line)
            if words in line:
                return line
    raise AssertionError(f"the command ended without saying {words!r}: {''.join(said)}")
