"""A section of the run-book, and the commands that it has for a laptop."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

IN_A_CLONE = Path(__file__).parents[3] / "docs" / "runbook.md"
INSTALLED = Path(__file__).with_name("runbook.md")
_COMMANDS = re.compile(r'^```sh title="laptop"\n(.*?)^```', re.MULTILINE | re.DOTALL)


class RunBookError(Exception):
    """The run-book, or a section of it, is not there, or its commands fail."""


def run_book_path() -> Path:
    """Return where the run-book is, in a clone or in an installation. Raises RunBookError."""
    for path in (IN_A_CLONE, INSTALLED):
        if path.is_file():
            return path
    raise RunBookError(f"there is no run-book at {IN_A_CLONE} nor at {INSTALLED}")


def section_of(document: str, title: str) -> str:
    """Return a section's text without its heading. Raises RunBookError."""
    section = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", document, re.MULTILINE | re.DOTALL)
    if section is None:
        raise RunBookError(f"the run-book has no section {title!r}")
    return section[1].strip()


def laptop_commands(section: str) -> str:
    """Return what a section's blocks marked `laptop` hold. Raises RunBookError if there are none."""
    blocks = _COMMANDS.findall(section)
    if not blocks:
        raise RunBookError("the section has no commands for a laptop")
    return "".join(blocks)


async def run_commands(commands: str, variables: Mapping[str, str]) -> None:
    """Run commands as a person would type them, with `sluice` on the path. Raises RunBookError if one fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    print(commands, flush=True)
    shell = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-eu", "-c", commands),
        env=kept | dict(variables) | {"PATH": path},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        status = await shell.wait()
    finally:
        if shell.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
            await shell.wait()
    if status:
        raise RunBookError(f"the run-book's commands ended with status {status}")
