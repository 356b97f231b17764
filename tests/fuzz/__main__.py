"""`python -m tests.fuzz`: send a service unexpected requests for some minutes; status 1 if anything was wrong."""

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

from sluice.testing.process import ROOT
from tests.api.run import fuzz as ask_by_document
from tests.fuzz.requests import AREAS
from tests.fuzz.run import fuzz, keep
from tests.fuzz.target import Target, target

_DOCUMENT_CALLERS = ("everything", "narrow", "writer")
_EXAMPLES = 100
_MOST_FOUND = 5


def main() -> int:
    """Fuzz; 0 when nothing was wrong."""
    args = _arguments()
    first = int(time.time()) % 1_000_000 if args.seed is None else args.seed
    until_s = time.monotonic() + args.minutes * 60
    _say(f"seed {first}, {args.minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, target(Path(folder)) as service:
        found = 0 if args.area else _by_document(service, args.max_examples, first)
        until_s = max(until_s, time.monotonic() + args.minutes * 60 / 2)  # however long the document took
        found += _by_areas(service, args.area or list(AREAS), first, until_s, args.found)
        for case in service.promised_and_missing():
            found += 1
            print(f"acknowledged, and neither stored nor rejected: {case}")  # noqa: T201 - a command-line tool prints
    _say(f"answers {dict(sorted(service.counts.items()))}: {found or 'nothing'} wrong")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long at least (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the first round (default: taken from the clock)")
    parser.add_argument("--area", action="append", choices=list(AREAS), help="only this one (may be repeated)")
    parser.add_argument("--max-examples", type=int, default=50, help="of each operation (default: %(default)s)")
    parser.add_argument("--found", type=Path, default=ROOT / "data" / "fuzz", help="folder (default: %(default)s)")
    return parser.parse_args()


def _by_document(service: Target, examples: int, seed: int) -> int:
    """Ask every operation of the OpenAPI document, as several callers; return how many of them met a fault."""
    failed = 0
    for caller in _DOCUMENT_CALLERS:
        arguments = ["--max-examples", str(examples), "--seed", str(seed)]
        done = ask_by_document(service.url, arguments, token=service.bearer(caller), push_token=service.bearer("push"))
        _say(f"by the OpenAPI document, as {caller}: {'nothing' if done.returncode == 0 else 'FOUND'}")
        if done.returncode:
            failed += 1
            print(done.stdout[-8_000:] + done.stderr[-2_000:])  # noqa: T201 - likewise
    return failed


def _by_areas(service: Target, areas: list[str], first: int, until_s: float, folder: Path) -> int:
    found: set[Path] = set()
    for number in itertools.count(first):
        for area in areas:
            kept = fuzz(area, _EXAMPLES, number, service)
            if kept is not None:
                file = keep(kept, folder, area)
                _say(f"{area}, seed {number}: {kept.found} ({file})")
                found.add(file)
            if time.monotonic() > until_s or len(found) >= _MOST_FOUND:
                return len(found)
    return len(found)


def _say(text: str) -> None:
    print(f"fuzz: {text}", file=sys.stderr, flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    sys.exit(main())
