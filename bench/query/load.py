"""The API under the load of many clients: the whole service as a process, a million rows in it, and being written to.

For each number of clients three runs, each in fresh processes, from which the first seconds are not counted:

    paced    each client asks, is answered, and asks again two seconds after it asked before, give or take one
    at once  each client asks again as soon as it is answered: what the service can do
    bare     as `at once`, of an application that has an answer of the same size ready: what the clients and the
             HTTP server can do on this machine, and so the ceiling

The clients (bench/query/load_users.py, Locust) share the processors with the service. A producer stores ten records a
second meanwhile, so that open windows change. Writes bench/results/load.json; `--clients 50` measures some of it and
keeps the rest.
"""

import argparse
import http.client
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from app.runtime.instants import DAY_US, HOUR_US
from bench.machine import machine
from bench.places import RESULTS, ROOT
from bench.query.constant import Constant
from bench.query.pages import Places, page
from bench.query.rows import Rows, build_rows
from bench.query.served import Served, constant, service
from bench.tables import write_tables
from bench.usage import Watch

RESULT = RESULTS / "load.json"
CLIENTS = (50, 200, 500)
SHARES = {"pollers": 0.4, "followers": 0.2, "keepers": 0.2, "finders": 0.1, "viewers": 0.06, "analysts": 0.04}
"""Of the clients; who they are says bench/query/load_users.py."""
PAUSE_S = 2.0
_CLOSED, _PLACES = 100, 4_000
_NEXT_CURSOR = "x" * 60
_STORED_AT_ONCE, _STORED_EACH_S = 5, 0.5


def targets(rows: Rows) -> dict[str, list[str]]:
    """Return what the clients ask for, by the name that they know it by."""
    places = Places(rows, seed=len(SHARES))
    return {
        "poll": [page(since="-PT1H", order="desc", limit=100)],
        # No two alike: the answers to equal cursors would be shared, and their readers stay in step from then on.
        "follow": [page(since=places.recent(), limit=100) for _ in range(_PLACES)],
        "cursor": ["/v1/records?limit=100&cursor="],
        "closed": [page(**places.window(HOUR_US), limit=100) for _ in range(_CLOSED)],
        "by id": [f"/v1/records/{places.record_id()}" for _ in range(_PLACES)],
        "stats": [
            "/v1/records/stats?since=-P1D&bucket=PT1H&by=source",
            "/v1/records/stats?since=-PT1H&bucket=PT5M",
        ],
        "filtered": [page(**places.window(DAY_US), limit=100, source=places.source()) for _ in range(_PLACES)],
    }


@contextmanager
def producing(served: Served) -> Iterator[None]:
    """Store records until the block ends."""
    ended = threading.Event()
    errors: list[str] = []

    def produce() -> None:
        number = 0
        while not ended.wait(_STORED_EACH_S):
            number += 1
            try:
                _store(served, number)
            except (OSError, http.client.HTTPException) as error:
                errors.append(repr(error))

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if errors:
        raise SystemExit(f"records could not be stored: {errors[:3]}")


def _store(served: Served, number: int) -> None:
    now = datetime.now(UTC).isoformat()
    records = [
        {"id": f"load-{number}-{index}", "timestamp": now, "source": "web", "data": {"total": index}}
        for index in range(_STORED_AT_ONCE)
    ]
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    headers = {"Authorization": served.authorization, "Content-Type": "application/json"}
    connection.request("POST", "/v1/records", json.dumps(records), headers)
    status = connection.getresponse().status
    connection.close()
    if status != 201:
        raise http.client.HTTPException(f"answered {status}")


def run_clients(python: str, served: Served, order: Mapping[str, Any]) -> dict[str, Any]:
    """Run the clients against a process, and return what they saw and what the process used."""
    whole = {
        "url": served.url,
        "server_pid": served.pid,
        "authorization": served.authorization or "Bearer none",
        "shares": SHARES,
        **order,
    }
    with Watch(served.pid) as watch:
        done = subprocess.run(
            [python, "-m", "bench.query.load_users"],
            cwd=ROOT,
            input=json.dumps(whole).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
    seen = dict(json.loads(done.stdout.splitlines()[-1]))
    return seen | {"server_before_mib": round(watch.before_mib, 1), "server_peak_mib": round(watch.peak_mib, 1)}


def measure(options: argparse.Namespace, clients: int, directory: Path) -> dict[str, Any]:
    """Measure one number of clients."""
    path = directory / f"{clients}.duckdb"
    rows = build_rows(path, options.rows)
    order = {"clients": clients, "warm_s": options.warm_s, "seconds": options.seconds, "targets": targets(rows)}
    found: dict[str, Any] = {}
    with service(path) as served, producing(served):
        for name, pause_s in {"paced": PAUSE_S, "at once": 0.0}.items():
            found[name] = run_clients(options.python, served, {**order, "pause_s": pause_s})
    with constant(_alike(found["at once"]["kinds"]), directory) as bare:
        found["bare"] = run_clients(options.python, bare, {**order, "pause_s": 0.0})
    return found


def _alike(kinds: Mapping[str, Any]) -> dict[str, Constant]:
    headers = {"sluice-resume-cursor": _NEXT_CURSOR, "etag": '"a"', "sluice-cache": "bare"}
    return {kind: Constant(one["body_bytes"], headers) for kind, one in kinds.items()}


def show(clients: int, found: Mapping[str, Any]) -> None:
    """Print one number of clients."""
    for name, run in found.items():
        print(
            f"{clients} clients, {name}: {run['requests_per_s']:.0f} requests/s, p50 {run['p50_ms']:.1f}, "
            f"p95 {run['p95_ms']:.1f}, p99 {run['p99_ms']:.1f} ms, errors {run['errors']}, "
            f"429 {run['too_many_requests']}, of the store {run['store_share']:.0%}, processors: server "
            f"{run['server_cores']:.2f} clients {run['clients_cores']:.2f}, memory {run['server_peak_mib']:.0f} MiB"
        )
        for kind, one in run["kinds"].items() if name != "bare" else ():
            cache = ", ".join(f"{state} {count}" for state, count in sorted(one["cache"].items()))
            times = f"p50 {one['p50_ms']:7.1f}  p95 {one['p95_ms']:7.1f}  p99 {one['p99_ms']:7.1f} ms"
            print(f"    {kind:22} {one['requests_per_s']:7.1f}/s  {times}  {cache}")


def with_shares(found: dict[str, Any]) -> dict[str, Any]:
    """Return what was found, with the share of the requests for which the store was asked."""
    for run in found.values():
        asked = sum(run["cache"].get(state, 0) for state in ("miss", "bypass"))
        run["store_share"] = round(asked / max(run["requests"], 1), 4)
    return found


def main() -> None:
    """Measure, print, and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="the interpreter that has Locust")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS, help="measure these, keep the others")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each run (default: %(default)s)")
    parser.add_argument("--warm-s", type=float, default=3.0, help="before them (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULT, help="where to write (default: %(default)s)")
    options = parser.parse_args()
    (ROOT / ".cache").mkdir(exist_ok=True)
    report = json.loads(options.output.read_text()) if options.output.exists() else {}
    runs = report.get("clients", {})
    for clients in options.clients:
        load_before = round(os.getloadavg()[0], 2)
        with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as directory:
            found = with_shares(measure(options, clients, Path(directory)))
        show(clients, found)
        runs[str(clients)] = {"load_average_before": load_before, "seconds": options.seconds, **found}
        report = {
            "machine": {**machine(), "duckdb": duckdb.__version__},
            "rows": options.rows,
            "shares_of_clients": SHARES,
            "pause_s": PAUSE_S,
            "clients": {key: runs[key] for key in sorted(runs, key=int)},
        }
        options.output.parent.mkdir(exist_ok=True)
        options.output.write_text(json.dumps(report, indent=2) + "\n")
        if options.output == RESULT:
            write_tables()
    if any(run["errors"] for one in runs.values() for run in one.values() if isinstance(run, dict)):
        raise SystemExit("there were errors")


if __name__ == "__main__":
    main()
