"""Store the records of files: `sluice backfill SOURCE --as NAME`."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping

from app.record import RecordTypeError
from app.runtime.clock import SystemClock
from app.settings.load import SettingsError, load_settings
from app.stores.sink import StoreError
from app.stores.source import QueryError
from app.streams import load_streams
from sluice.ops.backfill.formats import FORMATS, SourceError
from sluice.ops.backfill.ledger import NAME
from sluice.ops.backfill.objects import find_objects
from sluice.ops.backfill.progress import Counts, Progress, summary
from sluice.ops.backfill.run import backfill
from sluice.ops.backfill.storing import Plan, StoppedError

GOOD, REJECTED, STOPPED, INTERRUPTED = 0, 1, 2, 130
_EPILOG = (
    "Run the same command again to continue after an interruption: no row is stored twice. It uses the "
    "service's own settings (SLUICE_…). Only one process can open the embedded store, so stop the service first; with "
    f"BigQuery, both may run. The exit status is {GOOD} when every record is stored, {REJECTED} when records were "
    f"rejected (read /v1/rejects), {STOPPED} when the command stopped early. docs/backfill.md has the details."
)


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="sluice backfill")
    add_arguments(parser)
    return carry_out(parser.parse_args(arguments), environ)


def run(args: argparse.Namespace) -> int:
    """Do the same, with this process's environment."""
    logging.getLogger("sluice").setLevel(logging.ERROR)  # progress shows the first rejects, and counts the others
    return carry_out(args, os.environ)


def carry_out(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Store what the options name; return the exit status."""
    clock = SystemClock()
    progress = Progress(sys.stderr, clock.elapsed_us, 0)
    try:
        settings = load_settings(environ)
        streams = load_streams(settings.store)
        table = streams.table(options.stream)
        objects = find_objects(options.source, options.format or "", environ)
        progress = Progress(sys.stderr, clock.elapsed_us, sum(each.size_bytes for each in objects))
        plan = Plan(name=options.name, rate=options.rate, is_dry_run=options.dry_run, naive_as_utc=options.naive_as_utc)
        asyncio.run(backfill(plan, settings, streams, table, objects, progress, clock))
    except KeyboardInterrupt:
        progress.say(f"interrupted: {summary(progress.counts)}; run the same command to continue")
        return INTERRUPTED
    except (SettingsError, RecordTypeError, SourceError, StoreError, StoppedError, QueryError) as error:
        progress.say(f"the backfill stopped early: {error}")
        sys.stdout.write(summary(progress.counts) + "\n")
        return STOPPED
    sys.stdout.write(("valid: " if options.dry_run else "") + _told(progress.counts, options.dry_run) + "\n")
    return REJECTED if progress.counts.rejected or progress.counts.rejected_before else GOOD


def _told(counts: Counts, is_dry_run: bool) -> str:  # noqa: FBT001 - one of two texts
    return f"{counts.stored:,} records; to be rejected: {counts.rejected:,}" if is_dry_run else summary(counts)


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
    parser.add_argument("--rate", type=_rate, default=0.0, help="at most this many records a second")
    parser.add_argument(
        "--naive-as-utc",
        action="store_true",
        help="timestamps without a time zone, in Parquet and Arrow files, are in UTC (default: they have no offset, "
        "and a field that requires one rejects them)",
    )
    parser.add_argument("--dry-run", action="store_true", help="validate only; store nothing, and look up nothing")


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit"
        )
    return text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return rate


if __name__ == "__main__":
    logging.getLogger("sluice").setLevel(logging.ERROR)  # progress shows the first rejects, and counts the others
    sys.exit(main(sys.argv[1:], os.environ))
