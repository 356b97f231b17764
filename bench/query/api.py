"""What reading over HTTP costs: the whole service as a process, over the embedded store with a million rows.

    pages     pages of many kinds, one after the other over one connection, each at another place of the rows
    exports   `limit=all` in each format, in three sizes, with the memory that the service holds meanwhile
    beside    pages while an export of everything runs

Each stands beside a ceiling of the same run: the same size of answer from a bare application under the same HTTP
server, and the same rows out of the store alone. Callers show a token, and nobody has a limit. Writes
bench/results/api.json. `--only pages` measures a part, and keeps the others as they were written.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from bench.machine import machine
from bench.places import RESULTS, ROOT
from bench.query.constant import Constant
from bench.query.exports import measure_ceilings, measure_exports, pages_meanwhile
from bench.query.keep_alive import KeepAlive, percentiles
from bench.query.pages import REVALIDATED, measure_pages
from bench.query.rows import Rows, build_rows
from bench.query.served import constant, service
from bench.tables import write_tables

RESULT = RESULTS / "api.json"
PARTS = ("pages", "exports", "beside")
SHARES = (0.01, 0.1, 1.0)
"""Of the rows: 10,000, 100,000 and a million."""
_SCAN = (
    "SELECT * FROM records WHERE ingest_time >= make_timestamp($since_us::BIGINT) "
    "AND ingest_time < make_timestamp($until_us::BIGINT) LIMIT 100"
)


def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Measure the parts that `options` name."""
    path, copy = directory / "rows.duckdb", directory / "copy.duckdb"
    rows = build_rows(path, options.rows)
    shutil.copy(path, copy)
    found: dict[str, Any] = {}
    parts = options.only or PARTS
    if "pages" in parts:
        with service(path) as served, KeepAlive(served) as client:
            found["pages"] = measure_pages(client, rows, options.pages)
        found["page_ceilings"] = page_ceilings(found["pages"], options.pages, directory)
        found["page_scan"] = page_scan(copy, rows, options.pages)
    if "exports" in parts:
        with service(path) as served:  # a fresh one: its memory is the exports'
            found["exports"] = measure_exports(served, rows, SHARES, options.rounds)
        found["export_ceilings"] = measure_ceilings(copy, rows, found["exports"], directory)
    if "beside" in parts:
        with service(path) as served:
            found["pages_beside_an_export"] = pages_meanwhile(served, rows, options.pages)
    return found


def page_ceilings(pages: dict[str, Any], count: int, directory: Path) -> dict[str, Any]:
    """Measure the same sizes of answer from an application that has them ready."""
    kinds = {str(number): Constant(body_bytes=one["body_bytes"]) for number, one in enumerate(pages.values())}
    found = {}
    with constant(kinds, directory) as served, KeepAlive(served) as client:
        for kind, name in zip(kinds, pages, strict=True):
            headers = {"x_kind": kind} | ({"if_none_match": '"a"'} if name == REVALIDATED else {})
            got = [client.get("/", **headers) for _ in range(count + 20)][20:]
            found[name] = percentiles([answer.took_ms for answer in got])
    return found


def page_scan(copy: Path, rows: Rows, count: int) -> dict[str, Any]:
    """Measure what a page's rows cost in the store alone: those of a known time, in any order, as objects."""
    took_ms = []
    with duckdb.connect(str(copy), read_only=True) as connection:
        for number in range(count + 20):
            since_us = rows.start_us + (number * 7_919 % (rows.count - 100)) * rows.gap_us
            values = {"since_us": since_us, "until_us": since_us + 100 * rows.gap_us}
            begun_s = time.perf_counter()
            connection.execute(_SCAN, values).fetchall()
            took_ms.append((time.perf_counter() - begun_s) * 1_000)
    return percentiles(took_ms[20:])


def show(found: dict[str, Any]) -> None:
    """Print what was found."""
    for name, one in found.get("pages", {}).items():
        bare = found["page_ceilings"][name]
        print(f"{name:52} p50 {one['p50_ms']:7.2f}  p95 {one['p95_ms']:7.2f} ms  bare p50 {bare['p50_ms']:.2f}")
    if "page_scan" in found:
        print(f"ceiling: 100 rows of a known time, in the store alone: p50 {found['page_scan']['p50_ms']:.2f} ms")
    for form, sizes in found.get("exports", {}).items():
        for size, one in sizes.items():
            rate, growth = f"{one['rows_per_s']:9,} rows/s {one['mib_per_s']:7.1f} MiB/s", one["growth_mib"]
            print(
                f"export {form:7} {size:15} {rate}  memory {growth:+.0f} MiB, second half {one['second_half_mib']:+.0f}"
            )
    for name, one in found.get("export_ceilings", {}).items():
        print(f"ceiling {name:30} {one['rows_per_s']:9,} rows/s")
    for form, one in found.get("pages_beside_an_export", {}).items():
        print(f"page of 100 beside an export as {form:7} p50 {one['p50_ms']:.1f}  p95 {one['p95_ms']:.1f} ms")


def main() -> None:
    """Measure, print, and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--pages", type=int, default=120, help="of each kind (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="exports of each kind (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these parts, keep the others")
    parser.add_argument("--output", type=Path, default=RESULT, help="where to write (default: %(default)s)")
    options = parser.parse_args()
    load_before = round(os.getloadavg()[0], 2)
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as directory:
        found = measure(options, Path(directory))
    show(found)
    described = {
        **machine(),
        "duckdb": duckdb.__version__,
        "load_average": [load_before, round(os.getloadavg()[0], 2)],  # before, after
    }
    kept = json.loads(options.output.read_text()) if options.only and options.output.exists() else {}
    report = kept | {"rows": options.rows} | found | {"machine": kept.get("machine", {}) | described}
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    if options.output == RESULT:
        write_tables()


if __name__ == "__main__":
    main()
