"""`python -m tests.chaos`: make the chaos run with one seed or many; the status is 1 when anything was wrong."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from app.stores.bigquery.client import TableAddress
from sluice.local.bigquery.errors import LocalBigQueryError
from sluice.local.bigquery.install import install
from sluice.local.bigquery.provision import tables_of
from sluice.local.declared import Declared
from tests.chaos.plan import make_plan
from tests.chaos.report import complaint, summary
from tests.chaos.run import INSTANCES, Conditions, Run
from tests.support.local_bigquery import running

OUTAGES, CUTS, MAX_QUOTA = 2, 6, 2


def main() -> int:
    """Run it; 0 when nothing was wrong."""
    args = _arguments()
    first = int(time.time()) % 1_000_000 if args.seed is None else args.seed
    try:
        install(_say)
    except LocalBigQueryError as error:
        _say(str(error))
        return error.status
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, running(Path(folder)) as double:
        seeds = range(first, first + args.seeds)
        failed = [seed for seed in seeds if not _holds(seed, args, double.fresh(*tables_of(Declared())))]
    if len(seeds) > 1:
        _say(f"{len(seeds) - len(failed)} of {len(seeds)} seeds held" + (f", but not {failed}" if failed else ""))
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first run (default: taken from the clock)")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs, each with the next seed (default: 1)")
    parser.add_argument("--messages", type=int, default=50_000, help="in each run (default: %(default)s)")
    parser.add_argument("--in-flight", type=int, default=600, help="messages at a time (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=8, help="of instances, half by SIGTERM (default: %(default)s)")
    parser.add_argument(
        "--fault-rate", type=float, default=0.15, help="share of appends that one befalls (default: %(default)s)"
    )
    parser.add_argument(
        "--watermarks",
        choices=["on", "off", "odd"],
        default="odd",
        help="whether readers rely on them; odd: in the runs with an odd seed (default)",
    )
    return parser.parse_args()


def _holds(seed: int, args: argparse.Namespace, place: TableAddress) -> bool:
    _say(f"seed {seed}: {args.messages} messages")
    plan = make_plan(seed, args.messages, instances=INSTANCES, kills=args.kills, outages=OUTAGES, cuts=CUTS)
    conditions = Conditions(
        fault_rate=args.fault_rate,
        max_quota=MAX_QUOTA,
        in_flight=args.in_flight,
        within_s=300 + args.messages / 50,
        watermarks=args.watermarks == "on" or (args.watermarks == "odd" and bool(seed % 2)),
    )
    report = asyncio.run(Run(plan, place, conditions, lambda text: _say(f"seed {seed}: {text}"))())
    print(summary(report))  # noqa: T201 - a command-line tool prints
    if report.wrong:
        options = f"--seed {seed} --messages {args.messages} --in-flight {args.in_flight} --kills {args.kills}"
        print(complaint(report, f'make chaos ARGS="{options} --fault-rate {args.fault_rate:g}"'))  # noqa: T201 - likewise
    sys.stdout.flush()
    return not report.wrong


def _say(text: str) -> None:
    print(f"chaos: {text}", file=sys.stderr, flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    sys.exit(main())
