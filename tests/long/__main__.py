"""`python -m tests.long PLAN`: a long run of the service; status 1 if anything is wrong, 2 if it cannot begin."""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from app.stores.bigquery.client import TableAddress
from sluice.local.bigquery.errors import LocalBigQueryError
from sluice.local.bigquery.install import install
from sluice.local.bigquery.provision import tables_of
from sluice.local.declared import Declared
from tests.long.attack.plan import UnknownAttackError, chosen
from tests.long.attack.run import Times, run
from tests.long.attack.verdict import broken
from tests.long.chaos import INSTANCES, Chaos, Conditions
from tests.long.fuzz.requests import AREAS
from tests.long.fuzz.run import fuzz, keep
from tests.long.fuzz.target import Target, target
from tests.long.messages import Plan, make_plan
from tests.long.mirror import Conditions as MirrorConditions
from tests.long.mirror import mirrored
from tests.long.result import Result
from tests.long.soak import Conditions as SoakConditions
from tests.long.soak import soak
from tests.support.local_bigquery import running
from tests.support.process import ROOT

_FOUND = ROOT / "data" / "fuzz"
_MOST_FOUND, _EXAMPLES = 5, 100


def main() -> int:
    """Run a plan; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.long", description=__doc__)
    plans = parser.add_subparsers(dest="plan", required=True)
    seeds = argparse.ArgumentParser(add_help=False)
    seeds.add_argument("--seed", type=int, help="of the first run (default: taken from the clock)")
    attack = plans.add_parser("attack", help="attack a service, and measure what its neighbours feel")
    attack.add_argument("--only", action="append", default=[], metavar="NAME", help="this attack (may be repeated)")
    attack.add_argument("--seconds", type=float, help="how long each lasts (default: its own, 12)")
    chaos = plans.add_parser("chaos", parents=[seeds], help="kill instances under load over a store that misbehaves")
    chaos.add_argument("--seeds", type=int, default=1, help="how many runs, each with the next seed")
    chaos.add_argument("--messages", type=int, default=50_000, help="in each run (default: %(default)s)")
    long = plans.add_parser("soak", parents=[seeds], help="let a service work, and look for anything that grows")
    long.add_argument("--minutes", type=float, default=30.0, help="how long (default: %(default)s)")
    long.add_argument("--kill-every", type=float, metavar="SECONDS", help="kill it that often instead of pausing it")
    mirror = plans.add_parser("mirror", parents=[seeds], help="kill a mirror, a mirror of it, and their source")
    mirror.add_argument("--mirror-kills", type=int, default=20, help="of either mirror (default: %(default)s)")
    mirror.add_argument("--source-kills", type=int, default=5, help="of the source (default: %(default)s)")
    mirror.add_argument("--records", type=int, default=200_000, help="before the mirrors start (default: %(default)s)")
    fuzzing = plans.add_parser("fuzz", parents=[seeds], help="send a service unexpected requests")
    fuzzing.add_argument("--minutes", type=float, default=10.0, help="how long at least (default: %(default)s)")
    fuzzing.add_argument("--area", action="append", choices=list(AREAS), help="only this one (may be repeated)")
    args = parser.parse_args()
    if getattr(args, "seed", 0) is None:
        args.seed = int(time.time()) % 1_000_000
        _say(f"seed {args.seed}")
    runs: dict[str, Callable[[argparse.Namespace], int]] = {
        "attack": _attack,
        "chaos": _chaos,
        "soak": _soak,
        "fuzz": _fuzz,
        "mirror": _mirror,
    }
    try:
        return runs[args.plan](args)
    except (UnknownAttackError, LocalBigQueryError) as error:
        _say(str(error))
        return 2


def _attack(args: argparse.Namespace) -> int:
    failed = []
    for attack in chosen(args.only, args.seconds):
        _say(f"{attack.name}, for {attack.seconds:g} s")
        with tempfile.TemporaryDirectory(prefix="attack-") as folder:
            outcome = asyncio.run(run(attack, Path(folder), Times()))
        _print(outcome.text())
        failed += [attack.name] if broken(outcome.evidence) else []
    _say(f"broken: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def _chaos(args: argparse.Namespace) -> int:
    """Run each seed."""
    install(_say)
    failed = []
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, running(Path(folder)) as double:
        for seed in range(args.seed, args.seed + args.seeds):
            place = double.fresh(*tables_of(Declared()))
            plan = make_plan(seed, args.messages, instances=INSTANCES, kills=8, outages=2, cuts=6)
            conditions = Conditions(fault_rate=0.15, max_quota=2, in_flight=600, within_s=300 + args.messages / 50)
            result = asyncio.run(_of_chaos(plan, place, conditions))
            _print(f"seed {seed}: {args.messages} messages\n{result.text()}")
            failed += [seed] if result.wrong else []
    again = f'; again (the timing is never the same): make chaos ARGS="--seed {failed[0]}"' if failed else ""
    _say(f"{args.seeds - len(failed)} of {args.seeds} seeds held{again}")
    return 1 if failed else 0


async def _of_chaos(plan: Plan, place: TableAddress, conditions: Conditions) -> Result:
    return await Chaos(plan, place, conditions, _say)()  # made here, as its server belongs to the loop that makes it


def _soak(args: argparse.Namespace) -> int:
    conditions = SoakConditions(seed=args.seed, seconds=args.minutes * 60, kill_every_s=args.kill_every)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        result = asyncio.run(soak(conditions, Path(folder)))
    _print(result.text())
    return 1 if result.wrong else 0


def _mirror(args: argparse.Namespace) -> int:
    conditions = MirrorConditions(
        seed=args.seed, mirror_kills=args.mirror_kills, source_kills=args.source_kills, records_before=args.records
    )
    with tempfile.TemporaryDirectory(prefix="mirror-") as folder:
        result = asyncio.run(mirrored(conditions, Path(folder)))
    _print(result.text())
    return 1 if result.wrong else 0


def _fuzz(args: argparse.Namespace) -> int:
    """Draw cases of each area until the time is over."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, target(Path(folder)) as service:
        found = _by_areas(service, args.area or list(AREAS), args.seed, time.monotonic() + args.minutes * 60)
        for case in service.promised_and_missing():
            found += 1
            _print(f"acknowledged, and neither stored nor rejected: {case}")
    _say(f"answers {dict(sorted(service.counts.items()))}: {found or 'nothing'} wrong")
    return 1 if found else 0


def _by_areas(service: Target, areas: list[str], first: int, until_s: float) -> int:
    found: set[Path] = set()
    for number in itertools.count(first):
        for area in areas:
            kept = fuzz(area, _EXAMPLES, number, service)
            if kept is not None:
                found.add(keep(kept, _FOUND, area))
                _say(f"{area}, seed {number}: {kept.found} (kept in {_FOUND})")
            if time.monotonic() > until_s or len(found) >= _MOST_FOUND:
                return len(found)
    return len(found)


def _say(text: str) -> None:
    print(f"long: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a command-line tool prints


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    sys.exit(main())
