"""Erase one record from the store that the settings name: `sluice erase --id order-1042`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping

from app.query.erase import Erasure, digest_of, line_of
from app.record import RecordTypeError
from app.runtime.clock import SystemClock
from app.schema.table import rejects_table
from app.schema.values import read_id
from app.settings.load import Settings, SettingsError, load_settings
from app.stores.backend import open_backend
from app.stores.sink import StoreError
from app.stores.source import QueryError
from app.streams import load_streams

GOOD, REMAINS, WRONG = 0, 1, 2
_EPILOG = (
    "It uses the service's own settings (SLUICE_…). Only one process can open the embedded store: while the "
    "service runs, use DELETE /v1/records/{id}. The exit status is 0 when nothing remains, 1 when rows remain, "
    "2 when the command failed."
)


def run(
    args: argparse.Namespace, environ: Mapping[str, str] = os.environ, confirm: Callable[[str], str] = input
) -> int:
    """Erase what the options name; return the exit status."""
    try:
        return asyncio.run(_run(load_settings(environ), args, confirm))
    except (SettingsError, RecordTypeError, StoreError, QueryError) as error:
        sys.stderr.write(f"the erasure stopped early: {error}\n")
        return WRONG


async def _run(settings: Settings, options: argparse.Namespace, confirm: Callable[[str], str]) -> int:
    streams, rejects = load_streams(settings.store), rejects_table()
    records = streams.table(options.stream)
    record_id = read_id(records.id, options.id) if records.id else None
    if record_id is None:
        sys.stderr.write("no record can have this id: it does not match the record type's id field\n")
        return WRONG
    clock = SystemClock()
    backend = open_backend(settings, (*streams.tables, rejects), clock)
    try:
        erasure = Erasure(backend.runner, backend.eraser, records)
        count = await erasure.count(record_id)
        sys.stdout.write(f"found: {count} rows\n")
        if options.check:
            return REMAINS if count else GOOD
        if not options.yes and not _is_confirmed(count, confirm):
            sys.stderr.write("nothing was erased\n")
            return REMAINS if count else GOOD
        outcome = await erasure.erase(record_id)
        sys.stderr.write(line_of(outcome, digest_of(record_id), "the command") + "\n")
        sys.stdout.write(f"erased: {outcome.erased} rows\n")
        if not outcome.remaining:
            return GOOD
        sys.stdout.write(f"REMAINING: {outcome.remaining} rows, stored meanwhile; run this again\n")
        return REMAINS
    finally:
        await backend.close()


def _is_confirmed(count: int, confirm: Callable[[str], str]) -> bool:
    try:
        typed = confirm(f"Erase {count} rows permanently? Type the number of rows: ")
    except EOFError:  # no terminal; scripts pass --yes
        return False
    return typed.strip() == str(count)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description = "Erase a record: all its versions and copies (docs/retention.md)."
    parser.epilog = _EPILOG
    parser.add_argument("--id", required=True, help="the record's id")
    parser.add_argument("--stream", default="", help="the stream of the record (default: the first one)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only count the rows; the exit status is 1 if there are any")
    what.add_argument("--yes", action="store_true", help="erase without asking")
