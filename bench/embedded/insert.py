"""How a batch of rows should travel to DuckDB: durable inserts of default records into a table on disk.

    json         as the service does: rows encoded as they arrive, the batch one JSON parameter
    arrow        the batch as an Arrow table, which needs pyarrow
    executemany  one set of parameters a row, in one transaction

Each contender is a fresh process with a file of its own; the order alternates over the rounds, and what counts is
the ratio to `json` in the same round. Making the batch (`encode`) is measured apart: the service does that while
messages arrive. Writes bench/results/duckdb_insert.json.
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
import timeit
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from bench.embedded.insert_contenders import MAKERS, NAMES, records
from bench.machine import machine
from bench.places import RESULTS, ROOT

RESULT = RESULTS / "duckdb_insert.json"
CONTENDERS = ("json", "arrow", "executemany")
# How often each size of batch is inserted, per round.
REPEATS = {1: 50, 50: 50, 500: 50, 5_000: 40}
EXECUTEMANY_REPEATS = {1: 50, 50: 15, 500: 3}
ENCODINGS = 15
_IMPORTS = """
import time
t0 = time.perf_counter()
import app.stores.duckdb.store
t1 = time.perf_counter()
import pyarrow
print(t1 - t0, time.perf_counter() - t1)
"""


def measure_here(contender: str, directory: Path) -> dict[str, Any]:
    """Measure every size of batch in this process: medians in ms, and a checksum of the rows stored."""
    repeats = EXECUTEMANY_REPEATS if contender == "executemany" else REPEATS
    found: dict[str, Any] = {}
    for rows, times in repeats.items():
        path = directory / f"{rows}.duckdb"
        subject, pairs = MAKERS[contender](path), records(rows)
        encode_ms = [1_000 * each for each in timeit.repeat(partial(subject.encode, pairs), number=1, repeat=ENCODINGS)]
        insert_ms = asyncio.run(_insert_all(subject.insert, subject.encode(pairs), times))
        with duckdb.connect(str(path)) as reader:
            stored = f"SELECT count(*), sum(DISTINCT hash(ROW({NAMES}))) FROM records"  # noqa: S608 - names
            count, checksum = reader.execute(stored).fetchall()[0]
        if count != rows * (times + 1):
            raise SystemExit(f"{contender}: {count} rows were stored, not {rows * (times + 1)}")
        found[str(rows)] = {
            "insert_ms": round(statistics.median(insert_ms), 3),
            "encode_ms": round(statistics.median(encode_ms), 3),
            "checksum": str(checksum),
        }
    return found


async def _insert_all(insert: Callable[[Any], Awaitable[None]], batch: Any, times: int) -> list[float]:
    await insert(batch)  # the first prepares the statement
    taken_ms = []
    for _ in range(times):
        started = time.perf_counter()
        await insert(batch)
        taken_ms.append((time.perf_counter() - started) * 1_000)
    return taken_ms


def measure(contender: str) -> dict[str, Any]:
    """Measure `contender` in a fresh process, on the disk that holds the repository."""
    scratch = ROOT / ".cache"  # /tmp may be memory, where durable costs nothing
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        command = [sys.executable, "-m", "bench.embedded.insert", "--measure", contender, directory]
        return dict(json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))


def import_times_ms() -> tuple[float, float]:
    """Return what importing the embedded store takes a fresh process, and then pyarrow."""
    output = subprocess.run([sys.executable, "-c", _IMPORTS], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    store_ms, pyarrow_ms = (float(seconds) * 1_000 for seconds in output.split())
    return store_ms, pyarrow_ms


def _installed_mb() -> float:
    import pyarrow as pa  # noqa: PLC0415 - only for where it is

    files = Path(pa.__file__).parent.rglob("*")
    return round(sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc") / 1e6, 1)


def summary(rounds: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return, per contender and size, medians over the rounds, and of the ratios to `json` within a round."""
    medians: dict[str, dict[str, dict[str, float]]] = {each: {} for each in CONTENDERS}
    for contender, sizes in medians.items():
        for rows in rounds[0][contender]:
            pairs = [(each[contender][rows], each["json"][rows]) for each in rounds]
            if any(one["checksum"] != json_s["checksum"] for one, json_s in pairs):
                raise SystemExit(f"{contender} stored other rows than json did")
            inserts = [one["insert_ms"] / json_s["insert_ms"] for one, json_s in pairs]
            wholes = [_whole_ms(one) / _whole_ms(json_s) for one, json_s in pairs]
            sizes[rows] = {
                "insert_ms": round(statistics.median(one["insert_ms"] for one, _ in pairs), 2),
                "encode_ms": round(statistics.median(one["encode_ms"] for one, _ in pairs), 3),
                "insert_ratio_to_json": round(statistics.median(inserts), 2),
                "encode_and_insert_ratio_to_json": round(statistics.median(wholes), 2),
            }
    return medians


def _whole_ms(one: dict[str, float]) -> float:
    return one["encode_ms"] + one["insert_ms"]


def main() -> None:
    """Measure every contender in every round; write the results and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", nargs=2, metavar=("CONTENDER", "DIRECTORY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_here(options.measure[0], Path(options.measure[1]))))
        return
    load_before = round(os.getloadavg()[0], 2)
    rounds: list[dict[str, dict[str, Any]]] = []
    imports: list[tuple[float, float]] = []
    for number in range(options.rounds):
        order = CONTENDERS if number % 2 == 0 else CONTENDERS[::-1]
        rounds.append({each: measure(each) for each in order})
        imports.append(import_times_ms())
    store_ms, pyarrow_ms = (round(statistics.median(column), 1) for column in zip(*imports, strict=True))
    medians = summary(rounds)
    report = {
        "machine": {
            **machine(),
            "duckdb": duckdb.__version__,
            "load_average": [load_before, round(os.getloadavg()[0], 2)],  # before, after
        },
        "medians": medians,
        "pyarrow": {"import_ms": pyarrow_ms, "import_of_the_rest_ms": store_ms, "installed_mb": _installed_mb()},
        "rounds": rounds,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print("contender    rows    insert, ms    encode, ms   insert, of json  both, of json")
    for contender, sizes in medians.items():
        for rows, one in sizes.items():
            print(f"{contender:12}{rows:>5}", *(f"{value:13.2f}" for value in one.values()))
    print(f"importing pyarrow takes {pyarrow_ms} ms, and everything else of the store {store_ms} ms")


if __name__ == "__main__":
    main()
