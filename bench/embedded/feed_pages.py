"""What a page of the feed costs over a million rows in the embedded store, and by which query.

    feed    `app.query.feed.Feed`, as the service reads
    number  the shorter query that numbers every row of the look-back (docs/decisions/0004-what-a-copy-is.md)
    scan    the ceiling: the store hands out the page's own rows, whose place is known beforehand

The rows lie in two layouts: all within ten minutes, stored in batches of fifty, and spread over thirty days, one
by one; one in a thousand is a copy. Each contender is a fresh process that reads at the same random places; the order
alternates over the rounds, and what counts is the ratio to `feed` in the same round. The answers are compared.
Writes bench/results/feed_pages.json.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from bench.embedded.feed_contenders import SHAPES, Read, Reader
from bench.embedded.feed_rows import LAYOUTS, ROWS, Layout, build
from bench.machine import machine
from bench.places import RESULTS, ROOT

RESULT = RESULTS / "feed_pages.json"
CONTENDERS = ("feed", "number", "scan")
LOOK_UP = "look_up"


async def measure_here(contender: str, path: str, layout: Layout, seed: str) -> dict[str, Any]:
    """Measure one contender in this process: of each reading, the ms it took and a checksum of what was read."""
    reader = Reader(path, layout)
    found: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        places = reader.places(shape, seed)
        if contender == "feed":
            reads: list[Read] = [partial(reader.feed, shape, place) for place in places]
        elif contender == "number":
            reads = [partial(reader.number, shape, place) for place in places[: shape.times_of_others]]
        else:
            reads = [await reader.scan(shape, place) for place in places[: shape.times_of_others]]
        found[name] = await timed(reads, shape.limit)
    if contender == "feed":
        found[LOOK_UP] = await timed([partial(reader.look_up, record_id) for record_id in reader.ids(seed)], 1)
    return found


async def timed(reads: list[Read], expected: int) -> dict[str, list[Any]]:
    """Run each of `reads`, and the first of them once more beforehand, which prepares the query."""
    await reads[0]()
    taken_ms, checksums = [], []
    for read in reads:
        started = time.perf_counter()
        rows = await read()
        taken_ms.append(round((time.perf_counter() - started) * 1_000, 3))
        if len(rows) != expected:
            raise SystemExit(f"{len(rows)} rows were read, expected {expected}")
        checksums.append(zlib.crc32(repr([_place(row) for row in rows]).encode()))
    return {"ms": taken_ms, "checksums": checksums}


def _place(row: Any) -> Any:
    return (row["ingest_time"], row["delivery_key"]) if isinstance(row, dict) else None


def measure(contender: str, path: Path, layout: str, seed: int) -> dict[str, Any]:
    """Measure `contender` in a fresh process."""
    command = [sys.executable, "-m", "bench.embedded.feed_pages", "--measure", contender, str(path), layout, str(seed)]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return, per reading, the feed's percentiles and each contender's median, with its ratio to the feed's."""
    found: dict[str, dict[str, Any]] = {}
    for name in (*SHAPES, LOOK_UP):
        all_ms = [ms for each in rounds for ms in each["feed"][name]["ms"]]
        found[name] = {"p50_ms": round(statistics.median(all_ms), 2)}
        found[name]["p95_ms"] = round(statistics.quantiles(all_ms, n=20)[-1], 2)
        for contender in CONTENDERS[1:] if name in SHAPES else ():
            pairs = [(each[contender][name], each["feed"][name]) for each in rounds]
            if contender == "number" and any(
                one["checksums"] != feed["checksums"][: len(one["ms"])] for one, feed in pairs
            ):
                raise SystemExit(f"{name}: the two queries gave different rows")
            # At the same places: the others read fewer of them.
            ratios = [
                statistics.median(one["ms"]) / statistics.median(feed["ms"][: len(one["ms"])]) for one, feed in pairs
            ]
            found[name][f"{contender}_p50_ms"] = round(statistics.median(ms for one, _ in pairs for ms in one["ms"]), 2)
            found[name][f"{contender}_ratio_to_feed"] = round(statistics.median(ratios), 2)
    return found


def run(count: int) -> dict[str, list[dict[str, dict[str, Any]]]]:
    """Build each layout once, on the disk that holds the repository, and measure it in `count` rounds."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    rounds: dict[str, list[dict[str, dict[str, Any]]]] = {name: [] for name in LAYOUTS}
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as directory:
        paths = {name: Path(directory) / f"{name}.duckdb" for name in LAYOUTS}
        for name, layout in LAYOUTS.items():
            build(str(paths[name]), layout)
        for number in range(count):
            order = CONTENDERS if number % 2 == 0 else CONTENDERS[::-1]
            for name, path in paths.items():
                rounds[name].append({each: measure(each, path, name, number) for each in order})
    return rounds


def main() -> None:
    """Measure every contender in every round; write the results and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        contender, path, layout, seed = options.measure
        print(json.dumps(asyncio.run(measure_here(contender, path, LAYOUTS[layout], seed))))
        return
    load_before = round(os.getloadavg()[0], 2)
    rounds = run(options.rounds)
    medians = {layout: summary(found) for layout, found in rounds.items()}
    report = {
        "machine": {
            **machine(),
            "duckdb": duckdb.__version__,
            "load_average": [load_before, round(os.getloadavg()[0], 2)],  # before, after
        },
        "rows": ROWS,
        "rounds": options.rounds,
        "layouts": medians,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    for layout, readings in medians.items():
        print(f"{ROWS:,} rows, {layout}")
        for name, one in readings.items():
            print(f"  {name:18}", "  ".join(f"{what} {value:g}" for what, value in one.items()))


if __name__ == "__main__":
    main()
