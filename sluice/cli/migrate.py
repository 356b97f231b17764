"""`sluice migrate`: change the file of the embedded store to fit the record types."""

import argparse
import os
import sys

from app.record import RecordTypeError
from app.schema.table import rejects_table
from app.settings.load import SettingsError, load_settings
from app.stores.duckdb.migration import migrate
from app.stores.sink import StoreError
from sluice.cli.declared_tables import add_type_arguments, only_table, tables_of

DONE, IMPOSSIBLE, WRONG = 0, 1, 2
_ABOUT = """\
Change the file of the embedded store to fit the record type. A copy of it is kept under the name that is printed. A
value that the declared type cannot hold exactly is refused. Stop the service first."""
_AFTER = f"""\
exit status: {DONE} it is done, or there is nothing to do, {IMPOSSIBLE} the file cannot be migrated and is unchanged, \
{WRONG} the command or the record type is wrong"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description, parser.epilog = _ABOUT, _AFTER
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_type_arguments(parser, "needed to name a column")
    parser.add_argument("--data-path", help="the file (default: $SLUICE_DATA_PATH, else the service's default)")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", type=_rename, help="a renamed column"
    )
    parser.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="a column that may lose values")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")


def run(args: argparse.Namespace) -> int:
    """Migrate, and print what was done; return the exit status."""
    data_path = args.data_path or os.environ.get("SLUICE_DATA_PATH", "")
    try:
        tables = tables_of(args, os.environ)
        if args.rename or args.drop:
            only_table(tables)  # a column that is named must be of one
        path = load_settings({"SLUICE_DATA_PATH": data_path} if data_path else {}).store.data_path
        done = migrate(path, [*tables, rejects_table()], dict(args.rename), set(args.drop), dry_run=args.dry_run)
    except (RecordTypeError, SettingsError) as error:
        print(f"migrate: {error}", file=sys.stderr)
        return WRONG
    except StoreError as error:
        print(error, file=sys.stderr)
        return IMPOSSIBLE
    for plan in done.plans:
        print(f"{plan.table.name} in {path}: {len(plan.steps)} changes")
        for step in plan.steps:
            print(f"  {step}")
    if done.kept is not None:
        print(f"migrated; the file as it was is {done.kept}: remove it once you are satisfied")
    elif done.has_steps:
        print("nothing was changed (--dry-run)")
    return DONE


def _rename(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old or not new or "." in text:
        raise argparse.ArgumentTypeError(f"{text!r}: expected OLD=NEW, the names of two columns")
    return old, new
