"""What a document lets its reader do, in order, and its execution.

A block `sh` without a title is run by bash; what it exports, and the folder that it enters, hold for the next one. A
block `text` right after it is its output, in which `…` stands for anything. A block after a line that ends with ``
`name.py`: `` is a file. A linked file that the text says to "Save" is copied. `sluice up` runs until the text says to
stop it with Ctrl-C, or the document ends.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from sluice.testing.pace import patience_s
from tests.support.process import free_port

_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`(?P<path>[\w./-]+\.\w+)`:\s*$")
_SAVED = re.compile(r"\bSave \[`(?P<path>[\w.-]+)`\]\((?P<source>[^)#]+)\)")
_SERVICE, _PUBSUB = "127.0.0.1:8080", "127.0.0.1:8085"
_SERVES = {"sluice up": "Ctrl-C stops everything", "sluice demo": "Serving until Ctrl-C"}
"""What runs until Ctrl-C, and what it prints once it serves."""
_FASTER = {"sluice demo": " --flights 300"}
"""The demonstration as a whole is run by the tests of sluice/local/demo."""
_ELSEWHERE = ("uv tool install", "make demo")
"""Left out: tests/cli installs the wheel, and tests/local runs the demonstration; here, the commands are those of this
environment."""
_STOP = "with Ctrl-C"
_PATIENCE_S = patience_s(60.0)
_READS = ("curl ", "sluice follow ", "python read")


class Step(msgspec.Struct, frozen=True):
    """One block: a file to write if it has a path, else a command; `output` is what the document shows of it."""

    text: str
    line: int
    path: str = ""
    output: str | None = None
    stops_before: bool = False
    """Whether the text before it says to stop the service."""


def steps_of(document: Path) -> list[Step]:
    """Return the steps of a document."""
    text, end = document.read_text(), 0
    found: list[Step] = []
    for block in _BLOCK.finditer(text):
        before, language = text[end : block.start()], block["language"]
        end = block.end()
        if language == "text" and not before.strip() and found:
            found[-1] = msgspec.structs.replace(found[-1], output=block["text"])
            continue
        line = text.count("\n", 0, block.start()) + 2
        found += [
            Step((document.parent / saved["source"]).read_text(), line, saved["path"])
            for saved in _SAVED.finditer(before)
        ]
        named = _FILE.search(before)
        if named is not None:
            found.append(Step(block["text"], line, named["path"], stops_before=_STOP in before))
        elif language == "sh":
            found.append(Step(block["text"], line, stops_before=_STOP in before))
    return found


def is_shown(shown: str, output: str) -> bool:
    """Return whether the output is the one that a document shows."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("…"))
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


class Session:
    """A reader's terminal, and the service in the other one."""

    def __init__(self, folder: Path) -> None:
        self._state, self._folder = folder / "state", folder / "home"
        self._folder.mkdir()
        self._state.write_text(f"cd {shlex.quote(str(self._folder))}\n")
        self._log = folder / "up.log"
        self._serving: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self._places = {_SERVICE: f"127.0.0.1:{self._port}"}
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PUBSUB_", "PYTEST"))
        }
        # The commands of this environment first, as in a terminal in which Sluice is installed.
        self._environ = kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}

    def carry_out(self, step: Step) -> None:
        """Do what a step says. Raises AssertionError, with the line of the document, if it goes wrong."""
        if step.stops_before:
            self.stop()
        if step.path:
            written = self._here() / step.path
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(self._placed(step.text))
        elif _served(step) in _SERVES:
            self._serve(step)
        elif step.text.startswith(_ELSEWHERE):
            return
        else:
            self._run(step)

    def stop(self) -> None:
        """End the service as Ctrl-C does."""
        if self._serving is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._serving.pid, signal.SIGINT)
            self._serving.wait(_PATIENCE_S)
            self._serving = None

    def _here(self) -> Path:
        shown = self._bash("pwd")
        return Path(shown.stdout.strip())

    def _placed(self, text: str) -> str:
        for shown, place in self._places.items():
            text = text.replace(shown, place)
        return text

    def _bash(self, command: str) -> subprocess.CompletedProcess[str]:
        state = shlex.quote(str(self._state))
        script = (
            f'set -euo pipefail\n. {state}\n{command}\n{{ export -p; echo "cd $(printf %q "$PWD")"; }} >{state}.new'
        )
        done = subprocess.run(
            ["bash", "-c", script],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        if not done.returncode:
            Path(f"{self._state}.new").replace(self._state)
        return done

    def _run(self, step: Step) -> None:
        """Run a command. One that reads is repeated until it shows what it should: messages take a moment."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            done = self._bash(self._placed(step.text))
            is_right = not done.returncode and (step.output is None or is_shown(self._placed(step.output), done.stdout))
            if is_right:
                return
            if not step.text.startswith(_READS) or time.monotonic() > until:
                service = self._log.read_text() if self._log.exists() else ""
                raise AssertionError(
                    f"line {step.line}: status {done.returncode}\n{done.stdout}{done.stderr}\n{service}"
                )

    def _serve(self, step: Step) -> None:
        """Start the service; again if another test's took a port between its choice and its use."""
        while not self._is_up(step):
            assert "Address already in use" in self._log.read_text(), f"line {step.line}\n{self._log.read_text()}"
        pubsub = re.search(r"PUBSUB_EMULATOR_HOST=(\S+)", self._log.read_text())
        if pubsub is None:
            return
        # A reader's Pub/Sub has the same address after a restart; the exported one follows it here.
        before = self._places.get(_PUBSUB, _PUBSUB)
        self._state.write_text(self._state.read_text().replace(f'{before}"', f'{pubsub[1]}"'))
        self._places[_PUBSUB] = pubsub[1]

    def _is_up(self, step: Step) -> bool:
        command = _served(step)
        options = f"--port {self._port}{_FASTER.get(command, '')}"
        with self._log.open("wb") as log:
            self._serving = subprocess.Popen(
                ["bash", "-c", f". {shlex.quote(str(self._state))}; exec {step.text.strip()} {options}"],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + _PATIENCE_S
        while _SERVES[command] not in self._log.read_text():
            with suppress(subprocess.TimeoutExpired):
                self._serving.wait(0.05)
                return False
            assert time.monotonic() < until, f"line {step.line}: the service does not start\n{self._log.read_text()}"
        return True


def _served(step: Step) -> str:
    """Return the command of a step, without its options."""
    return " ".join(step.text.split()[:2])


@contextmanager
def session(folder: Path) -> Iterator[Session]:
    """Open a session, and end what it has started."""
    opened = Session(folder)
    try:
        yield opened
    finally:
        opened.stop()
