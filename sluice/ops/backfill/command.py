"""Store the records of files: `sluice backfill SOURCE --as NAME`."""

import argparse
import asyncio
import logging
import os
import sys

from app.record import RecordTypeError
from app.runtime.clock import SystemClock
from app.settings.load import SettingsError, load_settings
from app.stores.sink import StoreError
from app.stores.source import QueryError
from sluice.ops.backfill.formats import FORMATS, SourceError
from sluice.ops.backfill.ledger import NAME
from sluice.ops.backfill.objects import find_objects
from sluice.ops.backfill.progress import Progress, summary
from sluice.ops.backfill.run import backfill
from sluice.ops.backfill.storing import Plan, StoppedError

GOOD, REJECTED, STOPPED, INTERRUPTED = 0, 1, 2, 130
_EPILOG = (
    "Run the same command again to continue after an interruption: no row is stored twice. It uses the "
    "service's own settings (SLUICE_…). Only one process can open the embedded store, so stop the service first; with "
    f"BigQuery, both may run. The exit status is {GOOD} when every record is stored, {REJECTED} when records were "
    f"rejected (read /v1/rejects), {STOPPED} when the command stopped early. docs/backfill.md has the details."
)


def run(args: argparse.Namespace) -> int:
    """Store what the options name; return the exit status."""
    logging.getLogger("sluice").setLevel(logging.ERROR)  # progress shows the first rejects, and counts the others
    clock = SystemClock()
    progress = Progress(sys.stderr, clock.elapsed_us)
    try:
        settings = load_settings(os.environ)
        objects = find_objects(args.source, args.format or "")
        plan = Plan(name=args.name, stream=args.stream)
        asyncio.run(backfill(plan, settings, objects, progress, clock))
    except KeyboardInterrupt:
        progress.say(f"interrupted: {summary(progress.counts)}; run the same command to continue")
        return INTERRUPTED
    except (SettingsError, RecordTypeError, SourceError, StoreError, StoppedError, QueryError) as error:
        progress.say(f"the backfill stopped early: {error}")
        status = STOPPED
    else:
        status = REJECTED if progress.counts.rejected or progress.counts.rejected_before else GOOD
    sys.stdout.write(summary(progress.counts) + "\n")
    return status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Store the records of files, with the validation and the rejects of the service, each record once."
    )
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="SOURCE", help="a file, a folder, a glob in quotes, or gs://bucket/prefix")
    parser.add_argument(
        "--as",
        dest="name",
        metavar="NAME",
        required=True,
        type=_name,
        help="the name of this data: a record is stored once under it (1 to 64 of letters, digits, `.`, `_` and `-`)",
    )
    parser.add_argument("--stream", default="", help="the stream of the records (default: the first one)")
    parser.add_argument("--format", choices=FORMATS, help="the format of every file (default: as its name ends)")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit"
        )
    return text
