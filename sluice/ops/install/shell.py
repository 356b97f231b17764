"""The seam to other programs: run them, or say what would be run."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

PROGRAMS = ("gcloud", "gh", "git", "terraform")


class InstallError(Exception):
    """A step cannot be completed; the message says why, and what to do."""


class Shell(Protocol):
    """Runs programs in the root of the repository, and changes its files."""

    is_plan: bool

    def do(self, *command: str, given: str | None = None) -> None:
        """Run a command whose output is for the person. Raises InstallError if it fails."""

    def ask(self, *command: str, expected: str = "") -> str:
        """Return what a command prints; a plan returns `expected`. Raises InstallError if it fails."""

    def succeeds(self, *command: str) -> bool:
        """Return whether a command succeeds, without showing its output; a plan assumes that it does not."""

    def change(self, file: Path, how: Callable[[str], str], about: str) -> None:
        """Replace a file's text, at once or not at all."""


class RealShell:
    """Runs everything, and shows each command before."""

    is_plan = False

    def __init__(self, root: Path) -> None:
        """Run in `root`. Raises InstallError if a program is missing."""
        if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
            raise InstallError(f"not on PATH: {', '.join(missing)} (docs/deploy.md, section 1)")
        self._root = root

    def do(self, *command: str, given: str | None = None) -> None:
        """Run a command whose output is for the person."""
        _show(command)
        run = subprocess.run(command, cwd=self._root, input=given, text=True, check=False)
        if run.returncode != 0:
            raise InstallError(f"`{shlex.join(command[:4])} …` ended with status {run.returncode}")

    def ask(self, *command: str, expected: str = "") -> str:
        """Return what a command prints."""
        run = subprocess.run(command, cwd=self._root, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise InstallError(f"`{shlex.join(command)}`: {run.stderr.strip()[-600:]}")
        return run.stdout.strip()

    def succeeds(self, *command: str) -> bool:
        """Return whether a command succeeds."""
        return subprocess.run(command, cwd=self._root, capture_output=True, check=False).returncode == 0

    def change(self, file: Path, how: Callable[[str], str], about: str) -> None:
        """Replace a file's text."""
        path = self._root / file
        before = path.read_text(encoding="utf-8")
        after = how(before)
        if after != before:
            print(f"  {file}: {about}")
            replace_file(path, after)


class PlanShell:
    """Shows everything, and runs nothing."""

    is_plan = True

    def do(self, *command: str, given: str | None = None) -> None:
        """Show a command."""
        _show(command)

    def ask(self, *command: str, expected: str = "") -> str:
        """Show a question."""
        _show(command)
        return expected

    def succeeds(self, *command: str) -> bool:
        """Show a question."""
        _show(command)
        return False

    def change(self, file: Path, how: Callable[[str], str], about: str) -> None:
        """Show a change."""
        print(f"  {file}: {about}")


def _show(command: Sequence[str]) -> None:
    print(f"  $ {shlex.join(command)}")
    sys.stdout.flush()


def replace_file(path: Path, text: str) -> None:
    """Write a file such that an interruption leaves the old text or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".{path.name}.new")
    written.write_text(text, encoding="utf-8")
    written.replace(path)
