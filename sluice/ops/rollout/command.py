"""`sluice rollout`: shift traffic to a new revision in steps, and check its health between them.

On any failure, the previous traffic is restored and the status is 1.
"""

import argparse
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sluice.local.reasons import reason
from sluice.ops.rollout.cloud_run import CloudRun, RolloutError, Traffic
from sluice.ops.rollout.watch import MONITORING_URL, Answers, answers_between, why_not_ready
from sluice.ops.smoke.client import Client, SmokeError
from sluice.ops.smoke.token import VARIABLE

_LOOK_EVERY_S = 15.0
_FEW = 20
"""With fewer responses, an error rate is meaningless."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    for name, text in (("--project", "project id"), ("--region", "region"), ("--service", "Cloud Run service")):
        parser.add_argument(name, required=True, help=text)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--tag", help="shift the traffic to the revision with this tag")
    what.add_argument("--save", type=Path, metavar="FILE", help="only save the current traffic split")
    what.add_argument("--restore", type=Path, metavar="FILE", help="restore the traffic split that --save wrote")
    parser.add_argument("--untag", metavar="TAG", default="", help="with --restore: take this tag away as well")
    parser.add_argument(
        "--steps", type=_percentages, default=(10, 50, 100), metavar="P,…", help="percentages (default: 10,50,100)"
    )
    parser.add_argument(
        "--observe", type=float, default=300.0, metavar="S", help="seconds before each further step (default: 300)"
    )
    parser.add_argument(
        "--max-error-rate",
        type=float,
        default=0.01,
        metavar="R",
        help="allowed fraction of 5xx responses (default: 0.01)",
    )
    parser.add_argument("--monitoring-url", default=MONITORING_URL, help="Cloud Monitoring (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run one of the three modes; return 0 if it succeeded."""
    try:
        place = CloudRun(args.project, args.region, args.service)
        if args.save:
            traffic = place.traffic()
            args.save.write_bytes(msgspec.json.encode(traffic))
            print(f"traffic: {_shown(traffic.shares)}")
        elif args.restore:
            _restore(place, msgspec.json.decode(args.restore.read_bytes(), type=Traffic))
            if args.untag:
                place.untag(args.untag)
        else:
            return _roll_out(place, args)
    except (RolloutError, SmokeError, OSError, msgspec.DecodeError) as error:
        print(f"error: {reason(error)}", file=sys.stderr)
        return 1
    return 0


def _roll_out(place: CloudRun, args: argparse.Namespace) -> int:
    before, target = place.traffic(), place.tagged(args.tag)
    revision, client = target.revision_name, Client(target.url, os.environ.get(VARIABLE, ""))
    print(f"before: {_shown(before.shares)}; new: {revision} at {client.url}", flush=True)
    if before.shares == {revision: 100}:
        print(f"{revision} already has all the traffic")
        return 0
    try:
        for percent in args.steps:
            _step(place, client, revision, percent, args)
    except BaseException as error:  # Ctrl-C too: never leave a rollout half done
        reason = str(error) or type(error).__name__
        print(f"error: {reason}; restoring the previous traffic", file=sys.stderr, flush=True)
        _restore(place, before)
        if isinstance(error, (RolloutError, SmokeError)):
            return 1
        raise
    print(f"{revision} has all the traffic" if args.steps[-1] == 100 else f"{revision} has {args.steps[-1]} %")
    return 0


def _step(place: CloudRun, client: Client, revision: str, percent: int, args: argparse.Namespace) -> None:
    """Give a revision its percentage, and watch it for a while. Raises RolloutError if it performs badly."""
    if why := why_not_ready(client):
        raise RolloutError(f"{revision} is not ready: {why}")
    place.give({revision: percent})
    begun = datetime.now(UTC)
    deadline = time.monotonic() + args.observe
    while (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(left_s, _LOOK_EVERY_S))
        if why := why_not_ready(client):
            raise RolloutError(f"{revision}, at {percent} %, is no longer ready: {why}")
    answers = answers_between(
        args.monitoring_url,
        place.access_token(),
        project=place.project,
        service=place.service,
        revision=revision,
        begun=begun,
        ended=max(datetime.now(UTC), begun + timedelta(seconds=1)),
    )
    print(f"{percent:>3} %: ready; {_judged(answers, args.max_error_rate)}", flush=True)
    if answers.total >= _FEW and answers.rate > args.max_error_rate:
        raise RolloutError(
            f"{revision}, at {percent} %, answered {answers.errors} of {answers.total} requests with 5xx; the "
            f"allowed fraction is {args.max_error_rate:.2%}"
        )


def _restore(place: CloudRun, traffic: Traffic) -> None:
    if place.traffic() != traffic:
        place.give(traffic.shares)
    print(f"traffic: {_shown(traffic.shares)}", flush=True)


def _judged(answers: Answers, allowed: float) -> str:
    if answers.total < _FEW:
        return f"{answers.total} responses so far: too few to judge"
    return f"{answers.errors} of {answers.total} responses were 5xx ({answers.rate:.2%}; allowed {allowed:.2%})"


def _shown(shares: dict[str, int]) -> str:
    return ", ".join(f"{revision} {percent} %" for revision, percent in shares.items()) or "nothing"


def _percentages(text: str) -> tuple[int, ...]:
    steps = tuple(int(part) for part in text.split(","))
    if not all(1 <= step <= 100 for step in steps) or list(steps) != sorted(set(steps)):
        raise argparse.ArgumentTypeError(f"{text!r}: expected rising percentages such as 10,50,100")
    return steps
