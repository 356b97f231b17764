"""What reading the embedded store costs at millions of rows, over HTTP: three million by default.

    start    from the start of the process to its first answer, and the first ten pages after that
    reads    pages, look-ups by id, counts and statistics, one after the other over one connection
    exports  everything as NDJSON and as Arrow
    memory   the most that the process held

Each round runs the service afresh. With `--against DIRECTORY`, the service of another checkout takes turns with this
one on a copy of the same file, and each figure has its ratio to that one's. `--rows 10000000 --only start` measures a
restart. Writes bench/results/millions.json, and the tables of docs/performance.md, which need `--against`.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import msgspec

from app.runtime.instants import DAY_US, HOUR_US, SECOND_US
from bench.embedded.million_rows import CUSTOMERS, RARE_SOURCE, Rows, build_rows, some_ids
from bench.machine import machine
from bench.places import RESULTS, ROOT
from bench.query.keep_alive import KeepAlive, percentiles, stream
from bench.query.pages import instant, page
from bench.query.performance_tables import write_tables
from bench.query.served import Served, service
from bench.usage import Watch

RESULT = RESULTS / "millions.json"
HERE, THERE = "this", "against"
PARTS = ("start", "reads", "exports")
_WARM_S = 8.0  # what a service does after its start is over by then
_FIRST_PAGES = 10
_Found = dict[str, list[float]]


class Sample(msgspec.Struct, frozen=True):
    """What the readings ask for."""

    rows: Rows
    ids: list[str]


def reads(sample: Sample, number: int) -> Iterator[tuple[str, str, int]]:
    """Yield the name and the target of each reading, and its expected status; each call has windows of its own.

    The cache holds none of these answers: each window begins at another second.
    """
    rows, ids = sample.rows, sample.ids
    since_us, until_us = rows.start_us - DAY_US + number * SECOND_US, rows.end_us + number
    whole = {"since": instant(since_us), "until": instant(until_us)}
    end_us = rows.end_us - (number + _FIRST_PAGES) * HOUR_US
    day = {"since": instant(end_us - DAY_US), "until": instant(end_us)}
    customer = f"customer-{number % CUSTOMERS}"
    yield "page of 100, a day", page(**day, limit=100), 200
    yield "page of 100, four weeks, newest first", page(**whole, limit=100, order="desc"), 200
    yield "page of 100, four weeks, one source in a thousand", page(**whole, limit=100, source=RARE_SOURCE), 200
    yield "page of 100, four weeks, a source that is not there", page(**whole, limit=100, source=f"no-{number}"), 200
    yield "page of 100, four weeks, one customer (JSON)", page(**whole, limit=100, **{"data.customer": customer}), 200
    yield "count=exact of four weeks", page(**whole, limit=1, count="exact"), 200
    yield "statistics of four weeks, count", _stats(**whole, bucket="P1D"), 200
    yield "statistics of four weeks by source", _stats(**whole, bucket="P1D", by="source"), 200
    yield "statistics of four weeks, p95:delay", _stats(**whole, bucket="P1D", metric="p95:delay"), 200
    yield "record by id", f"/v1/records/{ids[number % len(ids)]}", 200
    yield "record by id, absent", f"/v1/records/order-{(number + 1) * 0x9E3779B97F4A7C15 % 2**64:016x}", 404
    yield "all versions of a record", f"/v1/records/{ids[-1 - number % len(ids)]}?versions=all", 200


def _stats(**parameters: str) -> str:
    return "/v1/records/stats?" + urlencode(parameters)


def measure_start(served: Served, rows: Rows, found: _Found) -> None:
    """Ask for the first pages of a fresh process, each of another hour."""
    with KeepAlive(served) as client:
        for number in range(_FIRST_PAGES):
            until_us = rows.end_us - number * HOUR_US
            target = page(since=instant(until_us - DAY_US), until=instant(until_us), limit=100)
            taken_ms = client.get(target).took_ms
            if number == 0:
                found.setdefault("first page of a process", []).append(taken_ms)
    found.setdefault("tenth page of a process", []).append(taken_ms)


def measure_reads(served: Served, sample: Sample, times: int, found: _Found) -> None:
    """Ask for each reading `times` times."""
    with KeepAlive(served) as client:
        for number in range(times):
            for name, target, status in reads(sample, number):
                answer = client.get(target)
                if answer.status != status or answer.headers.get("sluice-cache") not in {"miss", "bypass", None}:
                    raise SystemExit(f"{target} was answered {answer.status} {answer.headers}: {answer.body[:500]!r}")
                found.setdefault(name, []).append(answer.took_ms)


def measure_exports(served: Served, rows: Rows, found: _Found) -> None:
    """Export everything, in rows per second."""
    for form in ("ndjson", "arrow"):
        target = page(since=instant(rows.start_us), until=instant(rows.end_us), limit="all", format=form)
        begun_s = time.perf_counter()
        answer, lines = stream(served, target), 0
        while part := answer.read(1024**2):
            lines += part.count(b"\n") if form == "ndjson" else 0
        if form == "ndjson" and lines != rows.originals:
            raise SystemExit(f"the export had {lines} rows, not {rows.originals}")
        found.setdefault(f"export as {form}, rows/s", []).append(rows.originals / (time.perf_counter() - begun_s))


def measure(root: Path, path: Path, sample: Sample, options: argparse.Namespace, found: _Found) -> None:
    """Run the service of `root` once, and add what was measured to `found`."""
    begun_s = time.perf_counter()
    with service(path, root=root) as served:
        found.setdefault("start to first answer", []).append((time.perf_counter() - begun_s) * 1_000)
        with Watch(served.pid) as watch:
            measure_start(served, sample.rows, found)
            time.sleep(_WARM_S)
            if "reads" in options.only:
                measure_reads(served, sample, options.times, found)
            if "exports" in options.only:
                measure_exports(served, sample.rows, found)
        found.setdefault("memory, MiB", []).append(watch.peak_mib)


def run(options: argparse.Namespace) -> tuple[Rows, dict[str, _Found]]:
    """Make the file, and measure in rounds; the contenders take turns."""
    roots = {THERE: options.against.resolve(), HERE: ROOT} if options.against else {HERE: ROOT}
    found: dict[str, _Found] = {name: {} for name in roots}
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as directory:
        path = Path(directory) / "rows.duckdb"
        rows = build_rows(path, options.rows)
        sample = Sample(rows, some_ids(path, 500))
        copies = {name: Path(shutil.copy(path, Path(directory) / f"{name}.duckdb")) for name in roots}
        for _ in range(options.rounds):
            for name, root in roots.items():
                measure(root, copies[name], sample, options, found[name])
    return rows, found


def summary(found: dict[str, _Found]) -> dict[str, Any]:
    """Return the figures of each reading, and the ratio of the medians where there is another checkout."""
    summarised: dict[str, Any] = {}
    for name, values in found[HERE].items():
        figures = _figures(name, values)
        if THERE in found:
            figures[THERE] = _figures(name, found[THERE][name])
            figures["ratio"] = round(statistics.median(values) / statistics.median(found[THERE][name]), 3)
        summarised[name] = figures
    return summarised


def _figures(name: str, values: list[float]) -> dict[str, Any]:
    if name.startswith("export"):
        return {"rows_per_s": round(statistics.median(values))}
    if name.startswith("memory"):
        return {"peak_mib": round(max(values))}
    return percentiles(values) if len(values) > 1 else {"count": 1, "p50_ms": round(values[0], 3)}


def main() -> None:
    """Measure, print, and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes of each (default: %(default)s)")
    parser.add_argument("--times", type=int, default=15, help="each reading per round (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure these parts")
    parser.add_argument("--against", type=Path, help="another checkout, to compare with")
    parser.add_argument("--output", type=Path, default=RESULT, help="where to write (default: %(default)s)")
    options = parser.parse_args()
    load_before = round(os.getloadavg()[0], 2)
    rows, found = run(options)
    summarised = summary(found)
    for name, figures in summarised.items():
        shown: Callable[[dict[str, Any]], str] = lambda each: "  ".join(  # noqa: E731 - used on the next lines only
            f"{what} {value:,}" for what, value in each.items() if not isinstance(value, dict) and what != "count"
        )
        before = f"   before: {shown(figures[THERE])}" if THERE in figures else ""
        print(f"{name:52} {shown(figures)}{before}")
    report = {
        "machine": {
            **machine(),
            "duckdb": duckdb.__version__,
            "load_average": [load_before, round(os.getloadavg()[0], 2)],  # before, after
        },
        "rows": rows.count,
        "rounds": options.rounds,
        "readings": summarised,
    }
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    if options.output == RESULT:
        write_tables()


if __name__ == "__main__":
    main()
