"""A child process that is started, watched, logged and stopped, and that never outlives its parent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import msgspec

GATE = ("/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh")
"""Replaces itself by the given program once it reads a line; exits if the parent ends before sending one.

So every running program is on the leash, even if the parent is killed while it starts one.
"""

TAIL_LINES = 20
_LINE_BYTES = 1024 * 1024

_Result = TypeVar("_Result")


class ChildError(Exception):
    """A child process ended or was late; the message names it and quotes its last output."""


class ChildCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What to start: `executable` (None: this Python) with `arguments`, in `environ` (None: the parent's).

    With `reads_output` the parent reads the standard output (`Child.first_line`). If a program normally dies of
    SIGTERM, `dies_of_sigterm` turns that into status 0.
    """

    name: str
    arguments: Sequence[str]
    executable: str | None = None
    environ: Mapping[str, str] | None = None
    reads_output: bool = False
    dies_of_sigterm: bool = False


class Leash:
    """The process that ends the others when this one has died (leash.py); an asynchronous context manager."""

    async def __aenter__(self) -> Self:
        """Start it."""
        # In its own session: Ctrl-C reaches the foreground processes, and this one must outlive them.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "sluice.local.leash", stdin=subprocess.PIPE, start_new_session=True
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it, and every process that is still held."""
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        self._process.stdin.close()
        await self._process.wait()

    def hold(self, pid: int) -> None:
        """End the process `pid` when the parent has died."""
        self._tell(f"+{pid}")

    def release(self, pid: int) -> None:
        """Forget a process that has ended."""
        self._tell(f"-{pid}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        self._process.stdin.write(f"{line}\n".encode())


class Child:
    """One running child process, created by `Child.start`."""

    def __init__(
        self, command: ChildCommand, process: asyncio.subprocess.Process, leash: Leash, log: IO[bytes] | None
    ) -> None:
        self.name, self.process, self._leash, self._log = command.name, process, leash, log
        self._dies_of_sigterm = command.dies_of_sigterm
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, command: ChildCommand, leash: Leash, log_dir: Path | None) -> "Child":
        """Start `command` in its own session, so that Ctrl-C reaches only the parent.

        Its output goes to the file `log_dir`/`name`.log, or without a `log_dir` to the parent's output.
        """
        log = None if log_dir is None else open_log(log_dir, command.name)
        try:
            process = await asyncio.create_subprocess_exec(
                *GATE,
                command.executable or sys.executable,
                *command.arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if command.reads_output else log,
                stderr=log,
                env=command.environ,
                start_new_session=True,
                limit=_LINE_BYTES,
            )
        except BaseException:
            if log is not None:
                log.close()
            raise
        leash.hold(process.pid)
        assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
        process.stdin.write(b"\n")
        process.stdin.close()
        return cls(command, process, leash, log)

    async def first_line(self, within_s: float) -> bytes:
        """Return the first line of its standard output; read and drop the others."""
        assert self.process.stdout is not None  # noqa: S101 - the caller asked for it to be read
        line = await self.require(self.process.stdout.readline(), within_s)
        if not line:
            await self.process.wait()
            raise self._ended()
        self._reading = asyncio.create_task(self._drop_output(self.process.stdout))
        return line

    async def require(self, waiting: Coroutine[Any, Any, _Result], within_s: float) -> _Result:
        """Return what `waiting` returns.

        Raises:
            ChildError: the process ended first, or neither happened within `within_s` seconds.
        """
        waiter = asyncio.create_task(waiting)
        ended = asyncio.create_task(self.process.wait())
        try:
            await asyncio.wait({waiter, ended}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if waiter.done():
                return waiter.result()
            if ended.done():
                raise self._ended()
            raise ChildError(f"{self.name} was not ready within {within_s:g} s{self.tail()}")
        finally:
            waiter.cancel()
            ended.cancel()
            await asyncio.gather(waiter, ended, return_exceptions=True)

    async def stop(self, within_s: float) -> int:
        """Ask it to end, kill its process group if it does not, and return its exit status."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            async with asyncio.timeout(within_s):
                await self.process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError, PermissionError):  # already ended; macOS raises the latter
                os.killpg(self.process.pid, signal.SIGKILL)
        status = await self.process.wait()
        self._leash.release(self.process.pid)
        if self._reading is not None:
            await self._reading
        if self._log is not None:
            self._log.close()
        return 0 if self._dies_of_sigterm and status == -signal.SIGTERM else status

    def tail(self) -> str:
        """Return the end of its log, to append to a message; "" if it writes to the terminal."""
        if self._log is None:
            return ""
        lines = Path(self._log.name).read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        return "".join(f"\n  {line}" for line in ("", f"the end of {self._log.name}:", *lines))

    def _ended(self) -> ChildError:
        return ChildError(f"{self.name} exited with status {self.process.returncode} before it was ready{self.tail()}")

    @staticmethod
    async def _drop_output(stream: asyncio.StreamReader) -> None:
        while await stream.read(_LINE_BYTES):
            pass


def open_log(log_dir: Path, name: str) -> IO[bytes]:
    """Open an empty log file, creating its folder if missing."""
    log_dir.mkdir(parents=True, exist_ok=True)
    return (log_dir / f"{name}.log").open("wb")
