"""`python -m tests.soak`: let the service work for half an hour; the status is 1 when it grew, or lost anything."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from sluice.testing.process import ROOT
from tests.soak import report
from tests.soak.run import Conditions, Soak

_SMALL = ("cache_max_bytes=4194304", "dedupe_max_messages=10000")
"""Memories of a fixed size that half an hour would only fill: made small, so that what grows without end is seen."""


def main() -> int:
    """Soak; 0 when everything is flat and exact."""
    args = _arguments()
    seed = int(time.time()) % 1_000_000 if args.seed is None else args.seed
    conditions = Conditions(
        seed=seed,
        seconds=args.minutes * 60,
        rate=args.rate,
        fault_rate=args.fault_rate,
        trace=args.trace,
        settings=dict(each.split("=", 1) for each in (*_SMALL, *args.setting)),
    )
    print(f"soak: seed {seed}, {args.minutes:g} minutes", file=sys.stderr, flush=True)  # noqa: T201 - a command-line tool prints
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soaked = asyncio.run(Soak(conditions, Path(folder))())
    print(report.summary(soaked))  # noqa: T201 - likewise
    args.report.mkdir(parents=True, exist_ok=True)
    (args.report / "soak.json").write_bytes(report.document(soaked))
    failed = report.failures(soaked)
    print(f"soak: {'; '.join(failed) or 'flat and exact'}", file=sys.stderr)  # noqa: T201 - likewise
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of messages and faults (default: taken from the clock)")
    parser.add_argument("--rate", type=float, default=50.0, help="messages a second (default: %(default)s)")
    parser.add_argument("--fault-rate", type=float, default=0.02, help="share of appends (default: %(default)s)")
    parser.add_argument("--trace", action="store_true", help="trace Python's heap by line (slow)")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of the service")
    parser.add_argument("--report", type=Path, default=ROOT / "data" / "soak", help="folder (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
