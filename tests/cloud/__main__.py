"""Run the tests that ask BigQuery before the real one: `make test-cloud PROJECT=my-project`."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

from app.stores.bigquery.client import AccessError, TableAddress
from tests.cloud.bound import Bound
from tests.cloud.fresh_reads import FreshReads
from tests.local_bigquery import PLACE, RUN
from tests.support.throwaway import drop_run, new_run, sweep

TESTS = ("tests/contract",)
WRONG = 2


def main(arguments: Sequence[str]) -> int:
    """Run it; return pytest's exit status."""
    options = _parser().parse_args(arguments)
    place = TableAddress(
        project=options.project,
        dataset="",
        location=options.location,
        rest_url=options.rest_url,
        storage_url=options.storage_url,
    )
    tests = options.tests or list(TESTS)
    bound = Bound(_collected(tests))
    sys.stdout.write(f"in {place.project}, {place.location}: {bound.line()}\n")
    if not options.yes and not _is_confirmed():
        sys.stderr.write("nothing was run\n")
        return WRONG
    run = new_run()
    try:
        if left := sweep(place, time.time()):
            sys.stdout.write(f"deleted what older runs have left: {', '.join(left)}\n")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return _measure_and_run(tests, place, run)
    except AccessError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # impatience must not leave datasets behind
        sys.stdout.write(f"deleted {len(drop_run(place, run))} datasets of this run\n")


def _collected(tests: Sequence[str]) -> int:
    """Return how many tests there are; pytest says so itself."""
    listed = subprocess.run([*_pytest(tests), "--collect-only", "-qq"], capture_output=True, text=True, check=False)
    found = [line for line in listed.stdout.splitlines() if line.startswith("tests/")]
    counts = [int(line.rpartition(": ")[2]) for line in found if line.rpartition(": ")[2].isdigit()]
    return sum(counts) if counts else len(found)


def _measure_and_run(tests: Sequence[str], place: TableAddress, run: str) -> int:
    """Run the tests between two measurements of what a read of fresh rows bills."""
    with FreshReads(place, run) as fresh_reads:
        sys.stdout.write(fresh_reads.line() + "\n")
        sys.stdout.flush()
        status = _run(tests, place, run)
        sys.stdout.write(fresh_reads.line() + "\n")
    return status


def _run(tests: Sequence[str], place: TableAddress, run: str) -> int:
    environ = os.environ | {PLACE: msgspec.json.encode(place).decode(), RUN: run}
    started = list[subprocess.Popen[bytes]]()

    def stop(*_: object) -> None:
        for process in started:
            process.send_signal(signal.SIGINT)  # pytest ends its fixtures, and reports

    # Before pytest starts: in the background of a shell SIGINT is ignored, and pytest would inherit that.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with subprocess.Popen(_pytest(tests), env=environ) as process:
        started.append(process)
        return process.wait()


def _pytest(tests: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "tests.cloud.plugin", *tests]


def _is_confirmed() -> bool:
    try:
        return input("Run them? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.cloud",
        description="Run the contract suite over BigQuery itself, in datasets that expire within a day and are "
        "deleted at the end. It says first what it may cost.",
    )
    parser.add_argument("--project", required=True, help="it runs and pays for the queries")
    parser.add_argument("--location", default="EU", help="of the datasets (default: %(default)s)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--rest-url", default="https://bigquery.googleapis.com", help="or a double's")
    parser.add_argument("--storage-url", default="https://bigquerystorage.googleapis.com", help="or a double's")
    parser.add_argument("tests", nargs="*", help=f"default: {' '.join(TESTS)}")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
