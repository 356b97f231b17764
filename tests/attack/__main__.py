"""`python -m tests.attack`: attack a service and report what its neighbours felt; status 1 if that was too much."""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from sluice.testing.process import ROOT
from tests.attack import report
from tests.attack.plan import ATTACKS, Attack, UnknownAttackError, chosen
from tests.attack.run import Outcome, Times, run
from tests.attack.scene import NotHereError, found, started
from tests.attack.verdict import broken


def main() -> int:
    """Attack; 0 when everything held, 1 when not, 2 when it could not begin."""
    args = _arguments()
    try:
        attacks = chosen(args.only, args.seconds)
        if args.url is not None:
            found(args.url, args.tokens, args.issuer, args.pid)
    except (UnknownAttackError, NotHereError, OSError) as error:
        _say(str(error))
        return 2
    outcomes = []
    for attack in attacks:
        _say(f"{attack.name}: {attack.what}, for {attack.seconds:g} s")
        outcomes.append(_attack(attack, args))
        print(report.line(outcomes[-1]), flush=True)  # noqa: T201 - a command-line tool prints
    args.report.mkdir(parents=True, exist_ok=True)
    (args.report / "attacks.md").write_text(report.markdown(outcomes))
    (args.report / "attacks.json").write_bytes(report.document(outcomes))
    failed = [outcome.attack.name for outcome in outcomes if broken(outcome.evidence)]
    _say(
        f"{len(outcomes) - len(failed)} of {len(outcomes)} hold" + (f"; broken: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    names = ", ".join(attack.name for attack in ATTACKS)
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__, epilog=f"attacks: {names}")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this attack (may be repeated)")
    parser.add_argument("--seconds", type=float, help="how long each lasts (default: its own, 12)")
    parser.add_argument("--report", type=Path, default=ROOT / "data" / "attack", help="folder (default: %(default)s)")
    parser.add_argument("--url", help="a service that runs already, on this machine; default: one is started for each")
    parser.add_argument("--tokens", type=Path, help="JSON, caller -> bearer token (with --url)")
    parser.add_argument("--issuer", help="a local issuer, asked for the pushes' token (with --url)")
    parser.add_argument("--pid", type=int, help="the service's process, to see its memory (with --url)")
    return parser.parse_args()


def _attack(attack: Attack, args: argparse.Namespace) -> Outcome:
    with ExitStack() as stack:
        if args.url is not None:
            scene = found(args.url, args.tokens, args.issuer, args.pid)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="attack-")))
            scene = stack.enter_context(started(folder, attack))
        return asyncio.run(run(attack, scene, Times()))


def _say(text: str) -> None:
    print(f"attack: {text}", file=sys.stderr, flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    sys.exit(main())
