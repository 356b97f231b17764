"""The service, and what stands in for it, as real processes on loopback; and what they use of the machine."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
import msgspec

from bench.constant import Constant
from bench.usage import cpu_s, resident_mib
from tests import tokens
from tests.process import free_port, served_keys

ROOT = Path(__file__).parent.parent
READER = "reader@project.iam.gserviceaccount.com"
_SAMPLE_S = 0.02
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
def service(data_path: Path, **settings: str) -> Iterator[Served]:
    """Run the service on this file until the block ends; callers must show a token, and none has a limit."""
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
        with _running([sys.executable, "-m", "app"], port, environment, data_path.with_suffix(".log")) as pid:
            yield Served(pid, port, f"Bearer {tokens.token(email=READER)}")


@contextmanager
def constant(answers: Mapping[str, Constant], directory: Path) -> Iterator[Served]:
    """Run the bare application that answers so until the block ends."""
    port = free_port()
    path = directory / f"constant-{port}.json"
    path.write_bytes(msgspec.json.encode(answers))
    command = [sys.executable, "-m", "bench.constant", str(port), str(path)]
    with _running(command, port, dict(os.environ), path.with_suffix(".log")) as pid:
        yield Served(pid, port)


@contextmanager
def _running(command: list[str], port: int, environment: dict[str, str], log: Path) -> Iterator[int]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        deadline_s = time.monotonic() + _WAIT_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit(f"{' '.join(command)} did not come up: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


class Watch:
    """Watches what a process uses, from the block's begin to its end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.before_mib = resident_mib(pid)
        self._samples_mib = [self.before_mib]
        self._begun_s, self._begun_cpu_s = time.perf_counter(), cpu_s(pid)
        self.elapsed_s = self.cores = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.elapsed_s = time.perf_counter() - self._begun_s
        self.cores = (cpu_s(self._pid) - self._begun_cpu_s) / self.elapsed_s
        self._ended.set()
        self._thread.join()
        self._samples_mib.append(resident_mib(self._pid))

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self._samples_mib.append(resident_mib(self._pid))

    @property
    def peak_mib(self) -> float:
        """What the process held at most."""
        return max(self._samples_mib)

    def used(self) -> dict[str, float]:
        """Return what was used: processor cores on average, and memory at the begin, at most, and at the end.

        `second_half_mib` is by how much the most of the second half exceeds the most of the first: about nothing where
        memory does not depend on how long it takes.
        """
        middle = (len(self._samples_mib) + 1) // 2
        halves = (self._samples_mib[:middle], self._samples_mib[middle:])
        first_mib, second_mib = (max(half, default=self.before_mib) for half in halves)
        return {
            "cores": round(self.cores, 2),
            "before_mib": round(self.before_mib, 1),
            "peak_mib": round(self.peak_mib, 1),
            "second_half_mib": round(second_mib - first_mib, 1),
            "after_mib": round(self._samples_mib[-1], 1),
        }
