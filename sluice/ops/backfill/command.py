"""Store the records of files: `sluice backfill SOURCE --as NAME`."""

import argparse
import asyncio
import logging
import os

from app.record import RecordTypeError
from app.runtime.clock import SystemClock
from app.settings.load import SettingsError, load_settings
from app.stores.sink import StoreError
from app.stores.source import QueryError
from sluice.ops.backfill.ledger import NAME
from sluice.ops.backfill.sources import SourceError, find_objects
from sluice.ops.backfill.storing import Counts, Plan, StoppedError, backfill, say, summary

GOOD, REJECTED, STOPPED, INTERRUPTED = 0, 1, 2, 130
_EPILOG = (
    "Run the same command again to continue after an interruption: no row is stored twice. It uses the "
    "service's own settings (SLUICE_…). Only one process can open the embedded store, so stop the service first; with "
    f"BigQuery, both may run. The exit status is {GOOD} when every record is stored, {REJECTED} when records were "
    f"rejected (read /v1/rejects), {STOPPED} when the command stopped early. docs/backfill.md has the details."
)


def run(args: argparse.Namespace) -> int:
    """Store what the options name; return the exit status."""
    logging.getLogger("sluice").setLevel(logging.ERROR)  # the first rejects are shown, and the others counted
    counts = Counts()
    try:
        settings = load_settings(os.environ)
        plan = Plan(name=args.name, stream=args.stream)
        asyncio.run(backfill(plan, settings, find_objects(args.source), counts, SystemClock()))
    except KeyboardInterrupt:
        say(f"interrupted: {summary(counts)}; run the same command to continue")
        return INTERRUPTED
    except (SettingsError, RecordTypeError, SourceError, StoreError, StoppedError, QueryError) as error:
        say(f"the backfill stopped early: {error}")
        status = STOPPED
    else:
        status = REJECTED if counts.rejected or counts.rejected_before else GOOD
    print(summary(counts))
    return status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = (
        "Store the records of files, with the validation and the rejects of the service, each record once."
    )
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="SOURCE", help="a file, a folder, or gs://bucket/prefix")
    parser.add_argument(
        "--as",
        dest="name",
        metavar="NAME",
        required=True,
        type=_name,
        help="the name of this data: a record is stored once under it (1 to 64 of letters, digits, `.`, `_` and `-`)",
    )
    parser.add_argument("--stream", default="", help="the stream of the records (default: the first one)")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit"
        )
    return text
