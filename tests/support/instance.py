"""The service as one real process with a log file, callers of its own, and what /proc tells about it.

process.py reads the log as it comes. Here the process may write any amount without a reader, and may run with a
limit on open files. It has a caller for each role that long runs need.
"""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import httpx
import msgspec

from app.auth.grants import key_hash, new_key
from sluice.testing import tokens
from sluice.testing.pace import patience_s
from tests.support.process import ROOT, environment, free_port, program, served_keys

_DAY_S = 86_400
_START_S, _STOP_S = 30.0, 30.0


class Caller(msgspec.Struct, frozen=True):
    """A holder of an API key: its name, scopes, fixed filters, and limit; None is the default of the service."""

    name: str
    scopes: tuple[str, ...]
    filters: Mapping[str, str] = {}
    requests_per_minute: int | None = 0


class Instance(msgspec.Struct):
    """A running service. `keys` has the API key of each caller by name."""

    url: str
    pid: int
    folder: Path
    log: Path
    keys: Mapping[str, str]
    push_token: str
    process: "subprocess.Popen[bytes]"

    def terminate(self) -> int:
        """End it as the platform does; return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            return self.process.wait(patience_s(_STOP_S))
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def stored_messages(self) -> set[str]:
        """Return the ids of the messages that have left a record or a reject in its store, once it has ended."""
        with duckdb.connect(str(self.folder / "sluice.duckdb"), read_only=True) as connection:
            rows = connection.execute(
                "SELECT DISTINCT message_id FROM records UNION SELECT DISTINCT message_id FROM records_rejected"
            ).fetchall()
        return {row[0] for row in rows}

    def complaints(self) -> list[str]:
        """Return the lines of its log that tell of a defect: unexpected errors, and lines in another form."""
        return complaints(self.log.read_text(errors="replace"))


def complaints(log: str) -> list[str]:
    """Return the lines of a log that no request may cause, whatever it holds."""
    marks = ("Traceback", "unexpected failure", '"severity":"CRITICAL"', "panicked at")
    return [line for line in log.splitlines() if any(mark in line for mark in marks) or not line.startswith("{")]


@contextmanager
def instance(
    folder: Path, callers: tuple[Caller, ...] = (), numbers: Mapping[str, float | str] | None = None, /, **settings: str
) -> Iterator[Instance]:
    """Run the service over an embedded store in `folder` until the block ends; arguments are those of process.start."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = {caller.name: new_key() for caller in callers}
    grants = folder / "grants.json"
    grants.write_bytes(msgspec.json.encode({"grants": [_grant(caller, keys[caller.name]) for caller in callers]}))
    with served_keys() as keys_url:
        port = str(free_port())
        own = {"port": port, "data_path": str(folder / "sluice.duckdb"), "token_keys_url": keys_url}
        own |= {"grants_file": str(grants)} if callers else {}
        log = folder / "service.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                program(numbers), cwd=ROOT, env=environment(own | settings), stdout=output, stderr=subprocess.STDOUT
            )
        token = tokens.token(exp=int(time.time()) + _DAY_S)
        running = Instance(f"http://127.0.0.1:{port}", process.pid, folder, log, keys, token, process)
        try:
            _wait_until_ready(running)
            yield running
        finally:
            running.terminate()


def _grant(caller: Caller, key: str) -> dict[str, object]:
    entry = {"name": caller.name, "key_sha256": key_hash(key), "scopes": caller.scopes}
    own = {"filters": caller.filters or None, "requests_per_minute": caller.requests_per_minute}
    return entry | {name: value for name, value in own.items() if value is not None}


def _wait_until_ready(running: Instance) -> None:
    until_s = time.monotonic() + patience_s(_START_S)
    with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:  # it does not listen at once
        while time.monotonic() < until_s and running.process.poll() is None:
            try:
                if client.get(f"{running.url}/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                continue
    raise AssertionError(f"the service did not start: {running.log.read_text(errors='replace')[-2_000:]}")


class Resources(msgspec.Struct, frozen=True):
    """What a process holds: resident memory now and at most since it was reset, open files, threads."""

    rss_bytes: int
    peak_bytes: int
    descriptors: int
    threads: int


def resources(pid: int) -> Resources:
    """Read what /proc tells of a process; its memory is that of its children, too, as a worker reads large messages.

    Raises:
        OSError: there is no such process, or no /proc.
    """
    status = _status(pid)
    children = [_status(int(child)) for child in _children(pid)]
    rss, peak = (sum(int(each[name].split()[0]) * 1024 for each in (status, *children)) for name in ("VmRSS", "VmHWM"))
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return Resources(rss, peak, descriptors, int(status["Threads"]))


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def _children(pid: int) -> list[str]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def reset_peak(pid: int) -> None:
    """Count a process's peak of memory from now on (proc(5): clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
