"""The service, and what stands in for it, as real processes on loopback."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from bench.places import ROOT
from bench.query.constant import Constant
from sluice.testing import tokens
from tests.support.process import free_port, served_keys

READER = "reader@project.iam.gserviceaccount.com"
_WAIT_S = 60.0


class Served(msgspec.Struct, frozen=True):
    """A process that answers on a port of this machine, with the header that lets a reader in."""

    pid: int
    port: int
    authorization: str = ""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def service(data_path: Path, *, root: Path = ROOT, **settings: str) -> Iterator[Served]:
    """Run the service on this file until the block ends; callers must show a token, and none has a limit.

    `root` is the checkout whose service runs.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLUICE_", "PORT"))}
    with served_keys() as keys_url:
        environment |= {
            "SLUICE_PORT": str(port),
            "SLUICE_DATA_PATH": str(data_path),
            "SLUICE_TOKEN_ISSUER": tokens.ISSUER,
            "SLUICE_TOKEN_KEYS_URL": keys_url,
            "SLUICE_API_AUDIENCE": tokens.AUDIENCE,
            "SLUICE_API_PRINCIPALS": READER,
            "SLUICE_REQUESTS_PER_MINUTE": "0",
        }
        environment |= {f"SLUICE_{name.upper()}": value for name, value in settings.items()}
        with _running([sys.executable, "-m", "app"], port, environment, data_path.with_suffix(".log"), root) as pid:
            yield Served(pid, port, f"Bearer {tokens.token(email=READER)}")


@contextmanager
def constant(answers: Mapping[str, Constant], directory: Path) -> Iterator[Served]:
    """Run the bare application that answers so until the block ends."""
    port = free_port()
    path = directory / f"constant-{port}.json"
    path.write_bytes(msgspec.json.encode(answers))
    command = [sys.executable, "-m", "bench.query.constant", str(port), str(path)]
    with _running(command, port, dict(os.environ), path.with_suffix(".log")) as pid:
        yield Served(pid, port)


@contextmanager
def _running(command: list[str], port: int, environment: dict[str, str], log: Path, root: Path = ROOT) -> Iterator[int]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        deadline_s = time.monotonic() + _WAIT_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"{' '.join(command)} did not come up: {log.read_text()[-2000:]}")
            time.sleep(0.01)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
