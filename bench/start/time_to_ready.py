"""How long a start takes: from the process's begin to its first 200 on `/health/ready`, in fresh processes.

The service with each store, fresh processes on one core, in turn with two that say what the machine and the server
take by themselves: Python that does nothing, and a bare application (`bench.start.bare`). The embedded store begins
with a new file; BigQuery is the null store, and the keys of tokens come over HTTP, both from the other core. Bytecode
is compiled before. Writes bench/results/start.json.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from bench.ingest.contenders import Cores, service_settings
from bench.machine import machine_before
from bench.places import RESULTS, ROOT
from bench.usage import cpu_s
from tests.support.process import free_port, served_keys

RESULT = RESULTS / "start.json"
EMBEDDED, BIGQUERY, BARE, NOTHING = "sluice, embedded", "sluice, bigquery", "bare", "python -c pass"
CONTENDERS = (EMBEDDED, BIGQUERY, BARE, NOTHING)
_LOOK_AGAIN_S = 0.004
_WITHIN_S = 60.0
_READY = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Start(msgspec.Struct, frozen=True):
    """What one start took: seconds on the clock, and of the processor (user and system, all threads)."""

    wall_s: float
    cpu_s: float


class Outside(msgspec.Struct, frozen=True):
    """What a start needs of others: where the keys are, and the null store; and which core is whose."""

    keys_url: str
    store: dict[str, str]
    cores: Cores


@contextmanager
def outside() -> Iterator[Outside]:
    """Run the null store and serve the keys, on the load's core, until the block ends."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, cores.load)
    command = [sys.executable, "-m", "bench.null_store"]
    with (
        served_keys() as keys_url,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as store,
    ):
        if store.stdin is None or store.stdout is None:
            raise SystemExit("the null store has no pipes")
        yield Outside(keys_url, msgspec.json.decode(store.stdout.readline(), type=dict[str, str]), cores)
        store.stdin.close()


def start(name: str, out: Outside) -> Start:
    """Start a contender once, and end it when it has answered.

    Raises:
        SystemExit: it ended by itself, or was not ready within a minute.
    """
    if name == NOTHING:
        begun_s, process = _begin(["-c", "pass"], out, {})
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        return Start(time.perf_counter() - begun_s, used.ru_utime + used.ru_stime)
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        begun_s, process = _begin(_words(name, port), out, _settings(name, out, port, Path(folder)))
        try:
            while not _is_ready(port):
                if process.poll() is not None or time.perf_counter() - begun_s > _WITHIN_S:
                    raise SystemExit(f"{name} did not become ready")
                time.sleep(_LOOK_AGAIN_S)
            return Start(time.perf_counter() - begun_s, cpu_s(process.pid))
        finally:
            process.kill()
            process.wait()


def _begin(words: Sequence[str], out: Outside, settings: Mapping[str, str]) -> tuple[float, subprocess.Popen[bytes]]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("SLUICE_", "PORT", "PYTHON"))}
    os.sched_setaffinity(0, out.cores.service)  # the child inherits it
    begun_s = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=plain | dict(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.sched_setaffinity(0, out.cores.load)
    return begun_s, process


def _words(name: str, port: int) -> list[str]:
    return ["-m", "bench.start.bare", str(port)] if name == BARE else ["-m", "app"]


def _settings(name: str, out: Outside, port: int, folder: Path) -> dict[str, str]:
    if name not in {EMBEDDED, BIGQUERY}:
        return {}
    settings = service_settings(out.store["grpc"], out.keys_url)
    settings |= {"SLUICE_PORT": str(port)}
    if name == EMBEDDED:
        settings |= {"SLUICE_BACKEND": "embedded", "SLUICE_DATA_PATH": str(folder / "new.duckdb")}
    return settings


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(_READY)
            return connection.recv(64)[9:12] == b"200"
    except OSError:
        return False


def summary(found: Mapping[str, Sequence[Start]]) -> dict[str, Any]:
    """Return the rounds of each contender, their medians, and ratios within each round."""
    cells = [
        {
            "contender": name,
            "rounds": [{"wall_s": round(one.wall_s, 4), "cpu_s": round(one.cpu_s, 4)} for one in starts],
            "median": {
                "wall_s": round(statistics.median(one.wall_s for one in starts), 4),
                "cpu_s": round(statistics.median(one.cpu_s for one in starts), 4),
            },
        }
        for name, starts in found.items()
    ]
    ratios = {
        f"{one} / {other}": {
            "rounds": [
                round(mine.wall_s / theirs.wall_s, 2) for mine, theirs in zip(found[one], found[other], strict=True)
            ]
        }
        for one, other in product((EMBEDDED, BIGQUERY), (BARE, NOTHING))
    }
    medians = {pair: {**each, "median": round(statistics.median(each["rounds"]), 2)} for pair, each in ratios.items()}
    return {"cells": cells, "ratios": medians}


def main() -> None:
    """Measure, print and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.start.time_to_ready", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each (default: %(default)s)")
    rounds = parser.parse_args().rounds
    before = machine_before()
    starts: dict[str, list[Start]] = {name: [] for name in CONTENDERS}
    with outside() as out:
        for name in CONTENDERS:
            start(name, out)  # compiles what was not compiled yet
        for number in range(rounds):
            for name in CONTENDERS if number % 2 == 0 else CONTENDERS[::-1]:
                starts[name].append(start(name, out))
    result = {
        "machine": before,
        "rounds": rounds,
        **summary(starts),
    }
    for cell in result["cells"]:
        print(cell["contender"], cell["median"])
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
