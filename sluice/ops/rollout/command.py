"""`sluice rollout`: shift traffic to a new revision in steps, and check its health between them.

On any failure, the previous traffic is restored and the status is 1.
"""

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from sluice.local.reasons import reason
from sluice.ops.rollout.cloud_run import CloudRun, RolloutError
from sluice.ops.rollout.watch import responses_since
from sluice.ops.service import VARIABLE, Service
from sluice_client import SluiceError

_STEPS = (10, 50, 100)
"""Percentages."""
_LOOK_EVERY_S = 15.0
_FEW = 20
"""With fewer responses, an error rate is meaningless."""
_MAX_ERROR_RATE = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    for name, text in (("--project", "project id"), ("--region", "region"), ("--service", "Cloud Run service")):
        parser.add_argument(name, required=True, help=text)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--tag", help="shift the traffic to the revision with this tag: 10, 50, 100 %%")
    what.add_argument("--save", type=Path, metavar="FILE", help="only save the current traffic split")
    what.add_argument("--restore", type=Path, metavar="FILE", help="restore the traffic split that --save wrote")
    parser.add_argument("--untag", metavar="TAG", default="", help="with --restore: take this tag away as well")
    parser.add_argument(
        "--observe", type=float, default=300.0, metavar="S", help="seconds before each further step (default: 300)"
    )


def run(args: argparse.Namespace) -> int:
    """Run one of the three modes; return 0 if it succeeded."""
    try:
        place = CloudRun(args.project, args.region, args.service)
        if args.save:
            args.save.write_text(json.dumps(place.traffic()))
            print(f"traffic: {_shown(place.traffic())}")
        elif args.restore:
            _restore(place, json.loads(args.restore.read_text()))
            if args.untag:
                place.untag(args.untag)
        else:
            _roll_out(place, args.tag, args.observe)
    except (RolloutError, SluiceError, OSError, ValueError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 1
    return 0


def _roll_out(place: CloudRun, tag: str, observe_s: float) -> None:
    before, (revision, url) = place.traffic(), place.tagged(tag)
    candidate = Service(url, os.environ.get(VARIABLE, ""))
    print(f"before: {_shown(before)}; new: {revision} at {candidate.url}", flush=True)
    try:
        for percent in _STEPS:
            _step(place, candidate, revision, percent, observe_s)
    except BaseException:  # Ctrl-C too: never leave a rollout half done
        print("restoring the previous traffic", file=sys.stderr, flush=True)
        _restore(place, before)
        raise
    print(f"{revision} has all the traffic")


def _step(place: CloudRun, candidate: Service, revision: str, percent: int, observe_s: float) -> None:
    """Give a revision its percentage, and watch it. Raises RolloutError or SluiceError if it performs badly."""
    candidate.health()
    place.give({revision: percent})
    begun, deadline = datetime.now(UTC), time.monotonic() + observe_s
    while (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(left_s, _LOOK_EVERY_S))
        candidate.health()
    total, errors = responses_since(place, revision, begun)
    few = " (too few to judge)" if total < _FEW else ""
    print(f"{percent:>3} %: ready; {errors} of {total} responses were 5xx{few}", flush=True)
    if total >= _FEW and errors > _MAX_ERROR_RATE * total:
        raise RolloutError(
            f"{revision}, at {percent} %, answered {errors} of {total} requests with 5xx; "
            f"the allowed fraction is {_MAX_ERROR_RATE:.0%}"
        )


def _restore(place: CloudRun, shares: dict[str, int]) -> None:
    if place.traffic() != shares:
        place.give(shares)
    print(f"traffic: {_shown(shares)}", flush=True)


def _shown(shares: dict[str, int]) -> str:
    return ", ".join(f"{revision} {percent} %" for revision, percent in shares.items()) or "nothing"
