"""`sluice migrate`: change the file of the embedded store to fit the record types."""

import argparse
import sys
from collections.abc import Mapping, Sequence

from app.schema.declared_tables import add_type_arguments, only_table, tables_of
from app.schema.table import Table, rejects_table
from app.settings.load import load_settings
from app.stores.sink import StoreError

ABOUT = "change the file of the embedded store"
DONE, IMPOSSIBLE = 0, 1
_MORE = """\
Change the file of the embedded store to fit the record type: add columns, widen types, relax or tighten fields, and
rename or remove those that you name. It works in a copy beside the file and compares the numbers of rows. The copy then
takes the name of the file, and the old file is kept under the name that is printed. Stop the service first."""
_AFTER = f"""\
exit status: {DONE} it is done, or there is nothing to do, {IMPOSSIBLE} the file cannot be migrated and is unchanged, \
2 the command or the record type is wrong"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.description, parser.epilog = _MORE, _AFTER
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_type_arguments(parser, "; needed to name a field")
    parser.add_argument("--data-path", help="the file (default: $SLUICE_DATA_PATH, else the service's default)")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", type=_rename, help="a renamed field"
    )
    parser.add_argument(
        "--remove", action="append", default=[], metavar="FIELD", help="a field to drop, with its values"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")


def migrate_file(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Migrate, and print what was done; return the exit status.

    Raises:
        RecordTypeError: a type or the streams cannot be used.
        SettingsError: the path is not valid.
    """
    tables = tables_of(options, environ)
    if options.rename or options.remove:
        only_table(tables)  # a field that is named must be of one
    return _migrate([*tables, rejects_table()], options, environ)


def _migrate(tables: Sequence[Table], options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from app.stores.duckdb.migration import migrate  # noqa: PLC0415 - a package that the derivations do without

    data_path = {"SLUICE_DATA_PATH": options.data_path or environ.get("SLUICE_DATA_PATH", "")}
    path = load_settings({name: value for name, value in data_path.items() if value}).store.data_path
    try:
        done = migrate(path, tables, dict(options.rename), set(options.remove), dry_run=options.dry_run)
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return IMPOSSIBLE
    for plan in done.plans:
        sys.stdout.write(f"{plan.table} in {path}: {done.rows[plan.table]} rows, {len(plan.steps)} changes\n")
        sys.stdout.writelines(f"  {step}\n" for step in plan.steps)
    if done.kept is not None:
        sys.stdout.write(f"migrated; the old file is {done.kept}: remove it once you are satisfied\n")
    elif done.has_steps:
        sys.stdout.write("nothing was changed (--dry-run)\n")
    return DONE


def _rename(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old or not new or old.rpartition(".")[0] != new.rpartition(".")[0]:
        raise argparse.ArgumentTypeError(f"{text!r}: expected OLD=NEW, two names in one table or one nested Struct")
    return old, new
