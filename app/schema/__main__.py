"""Print a derivation of the record type, compare the live tables with it, or migrate the embedded store's file."""

import argparse
import json
import logging
import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from app.record import RecordTypeError, load_record_type
from app.schema import suggest_command
from app.schema.filters import checked_table, filter_table
from app.schema.json_schema import record_schema
from app.schema.table import Table, rejects_table
from app.settings.load import Settings, SettingsError, load_settings
from app.stores.bigquery.table_diff import differences, report
from app.stores.bigquery.table_layout import bigquery_schema
from app.stores.bigquery.watermarks.marks import instances_table
from app.stores.duckdb.table_layout import duckdb_ddl
from app.stores.sink import StoreError
from app.streams import load_streams

if TYPE_CHECKING:
    from app.stores.bigquery.client import BigQueryClients

DEFAULT_RECORD = "app.record:Record"
SAME, DIFFERENT, UNKNOWN = 0, 1, 2
_BIGQUERY = "SLUICE_BIGQUERY_"
_STREAMS = "SLUICE_STREAMS"
_WATERMARKS = "SLUICE_WATERMARKS"
_MIGRATE = "change the file of the embedded store"
_ABOUT_MIGRATE = """\
Change the file of the embedded store to fit the record type: add columns, widen types, relax or tighten fields, and
rename or remove those that you name. It works in a copy beside the file and compares the numbers of rows. The copy then
takes the name of the file, and the old file is kept under the name that is printed. Stop the service first."""
_AFTER_MIGRATE = f"""\
exit status: {SAME} it is done, or there is nothing to do, {DIFFERENT} the file cannot be migrated and is unchanged, \
{UNKNOWN} the command or the record type is wrong"""
_DIFF = "compare the live tables in BigQuery"
_ABOUT_DIFF = """\
Compare the tables in BigQuery with the record type, without changing them. A difference is breaking (the service
reports SCHEMA_MISMATCH and appends nothing until it is resolved), pending (an optional column is missing: the service
reports COLUMNS_PENDING, and only rows that use it wait), or only noted."""
_AFTER_DIFF = f"""\
exit status: {SAME} the tables fit, {DIFFERENT} a column or a table is missing or a difference is breaking, \
{UNKNOWN} the check failed

It reads the environment variables SLUICE_RECORD or SLUICE_STREAMS, and SLUICE_BIGQUERY_PROJECT, _DATASET, _REST_URL
and _LOCATION. It uses the application-default credentials (`gcloud auth application-default login`), which need only
roles/bigquery.metadataViewer on the dataset."""
_SUGGEST = "print the fields to declare for members that arrive undeclared"
_ABOUT_SUGGEST = """\
Print, as Python, the fields to declare for the undeclared members that the newest records have kept: a type that
every value seen fits, and how often the member occurs. Values are not printed. With --url, also the members that the
service has seen, kept, dropped or rejected."""
_AFTER_SUGGEST = f"""\
exit status: {SAME} it has printed what it found, {UNKNOWN} it could not look

It reads the environment variables SLUICE_RECORD or SLUICE_STREAMS, and those of the store: SLUICE_BACKEND,
SLUICE_DATA_PATH, and SLUICE_BIGQUERY_PROJECT, _DATASET, _REST_URL and _LOCATION. On BigQuery it runs one query, of the
partitions since --since."""


def _proto(table: Table) -> str:
    from google.protobuf import json_format  # noqa: PLC0415 - an extra that the other derivations do without

    from app.stores.bigquery.proto_rows import protobuf_descriptor  # noqa: PLC0415 - likewise

    return json_format.MessageToJson(protobuf_descriptor(table))


_DERIVATIONS: dict[str, tuple[str, Callable[[Table], str]]] = {
    "bigquery": (
        "the table's schema, for bq and Terraform",
        lambda table: json.dumps(bigquery_schema(table), indent=2),
    ),
    "proto": ("the writer schema for the Storage Write API", _proto),
    "duckdb": ("the CREATE TABLE statement of the embedded store", lambda table: duckdb_ddl(table) + ";"),
    "jsonschema": (
        "the JSON Schema, for producers to validate against",
        lambda table: json.dumps(record_schema(table.record_type, table.versions), indent=2),
    ),
    "filters": (
        "the fields that a query may filter by and aggregate",
        lambda table: msgspec.json.format(msgspec.json.encode(list(filter_table(table).values()))).decode(),
    ),
}


def main(arguments: list[str], environ: Mapping[str, str] = MappingProxyType({})) -> int:
    """Print one derivation or the differences; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.derivation == "migrate":
            # A field that is named must be of one table.
            tables = _tables(options, environ)
            if options.rename or options.remove:
                _only(tables)
            return _migrate([*tables, rejects_table()], options, environ)
        if options.derivation == "diff":
            tables = [] if options.rejects else _tables(options, environ)
            settings = _settings(environ, project=options.project, dataset=options.dataset)
            of_instances = [instances_table()] if settings.store.watermarks != "off" else []
            return _diff([*tables, rejects_table(), *of_instances], settings)
        if options.derivation == "suggest":
            declared = tuple(_tables(options, environ))
            sys.stdout.write(suggest_command.run(options, _only(declared), declared, environ))
            return SAME
        table = rejects_table() if options.rejects else _only(_tables(options, environ))
        sys.stdout.write(_DERIVATIONS[options.derivation][1](table) + "\n")
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{options.derivation} needs the extra `cloud` of this package: {error}\n")
        return UNKNOWN
    except (RecordTypeError, SettingsError, suggest_command.SuggestError) as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN
    return SAME


def _tables(options: argparse.Namespace, environ: Mapping[str, str]) -> list[Table]:
    """Return the tables that the options mean: of one type, of one stream, or of all streams.

    Raises:
        RecordTypeError: a type or the streams cannot be used.
    """
    spec = environ.get(_STREAMS, "")
    if options.record is not None or not spec:
        if options.stream:
            raise RecordTypeError(f"--stream {options.stream} needs {_STREAMS}, which names the streams")
        return [checked_table(load_record_type(options.record or environ.get("SLUICE_RECORD") or DEFAULT_RECORD))]
    streams = load_streams(load_settings({_STREAMS: spec}).store, only_describes=True)
    return [streams.table(options.stream)] if options.stream else [*streams.tables]


def _only(tables: Sequence[Table]) -> Table:
    """Return the only table that the options mean.

    Raises:
        RecordTypeError: there are several.
    """
    table, *others = tables
    if others:
        names = ", ".join(each.name for each in (table, *others))
        raise RecordTypeError(f"{_STREAMS} declares several streams: choose one with --stream: {names}")
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m app.schema", description="Print what is derived from a record type."
    )
    about_record = f"package.module:Type (default: $SLUICE_RECORD, else {DEFAULT_RECORD})"
    about_stream = "the stream, where $SLUICE_STREAMS declares several"
    parser.add_argument("--record", help=about_record)
    parser.add_argument("--stream", default="", help=about_stream)
    parser.add_argument("--rejects", action="store_true", help="use the table of rejected records instead")
    commands = parser.add_subparsers(dest="derivation", required=True)
    for name, (summary, _) in _DERIVATIONS.items():
        commands.add_parser(name, help=summary)
    diff = commands.add_parser(
        "diff",
        help=_DIFF,
        description=_ABOUT_DIFF,
        epilog=_AFTER_DIFF,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Suppressed: without a value here, the one given before `diff` stays.
    diff.add_argument("--record", default=argparse.SUPPRESS, help=about_record)
    diff.add_argument("--stream", default=argparse.SUPPRESS, help=f"{about_stream}; without it, all of them")
    diff.add_argument(
        "--rejects", action="store_true", default=argparse.SUPPRESS, help="only the table of rejected records"
    )
    suggest = commands.add_parser(
        "suggest",
        help=_SUGGEST,
        description=_ABOUT_SUGGEST,
        epilog=_AFTER_SUGGEST,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    suggest.add_argument("--record", default=argparse.SUPPRESS, help=about_record)
    suggest.add_argument("--stream", default=argparse.SUPPRESS, help=about_stream)
    suggest_command.add_arguments(suggest)
    diff.add_argument("--project", help="the project of the tables (default: $SLUICE_BIGQUERY_PROJECT)")
    diff.add_argument("--dataset", help="the dataset of the tables (default: $SLUICE_BIGQUERY_DATASET)")
    _add_migrate(commands, about_record, about_stream)
    return parser


def _add_migrate(commands: Any, about_record: str, about_stream: str) -> None:
    migrate = commands.add_parser(
        "migrate",
        help=_MIGRATE,
        description=_ABOUT_MIGRATE,
        epilog=_AFTER_MIGRATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    migrate.add_argument("--record", default=argparse.SUPPRESS, help=about_record)
    migrate.add_argument("--stream", default=argparse.SUPPRESS, help=f"{about_stream}; needed to name a field")
    migrate.add_argument("--data-path", help="the file (default: $SLUICE_DATA_PATH, else the service's default)")
    migrate.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", type=_rename, help="a renamed field"
    )
    migrate.add_argument(
        "--remove", action="append", default=[], metavar="FIELD", help="a field to drop, with its values"
    )
    migrate.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")


def _rename(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=")
    if not old or not new or old.rpartition(".")[0] != new.rpartition(".")[0]:
        raise argparse.ArgumentTypeError(f"{text!r}: expected OLD=NEW, two names in one table or one nested Struct")
    return old, new


def _migrate(tables: list[Table], options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from app.stores.duckdb.migration import migrate  # noqa: PLC0415 - needs an extra that the derivations do without

    data_path = {"SLUICE_DATA_PATH": options.data_path or environ.get("SLUICE_DATA_PATH", "")}
    path = load_settings({name: value for name, value in data_path.items() if value}).store.data_path
    try:
        done = migrate(path, tables, dict(options.rename), set(options.remove), dry_run=options.dry_run)
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return DIFFERENT
    for plan in done.plans:
        sys.stdout.write(f"{plan.table} in {path}: {done.rows[plan.table]} rows, {len(plan.steps)} changes\n")
        sys.stdout.writelines(f"  {step}\n" for step in plan.steps)
    if done.kept is not None:
        sys.stdout.write(f"migrated; the old file is {done.kept}: remove it once you are satisfied\n")
    elif done.has_steps:
        sys.stdout.write("nothing was changed (--dry-run)\n")
    return SAME


def _settings(environ: Mapping[str, str], *, project: str | None, dataset: str | None) -> Settings:
    """Return the settings of the tables and ignore all others: a laptop or a CI job has only these."""
    variables = {name: value for name, value in environ.items() if name.startswith((_BIGQUERY, _WATERMARKS))}
    for name, value in (("PROJECT", project), ("DATASET", dataset)):
        if value is not None:
            variables[_BIGQUERY + name] = value
        if not variables.get(_BIGQUERY + name):
            raise SettingsError(f"{name} is missing: give --{name.lower()}, or set {_BIGQUERY}{name}")
    return load_settings(variables)


def _diff(tables: list[Table], settings: Settings) -> int:
    from app.stores.bigquery.client import BigQueryClients, TableAddress  # noqa: PLC0415 - needs extras that the derivations do without

    # The libraries' advice about credentials would only bury the one line that names the error.
    logging.getLogger("google").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        access = BigQueryClients(TableAddress.of(settings.store))
        try:
            return max(_diff_one(access, table) for table in tables)
        except _CannotLookError as error:
            sys.stderr.write(f"{error}\n")
            return UNKNOWN
        finally:
            access.close()


class _CannotLookError(Exception):
    """A table cannot be inspected; the message says why."""


def _diff_one(access: "BigQueryClients", table: Table) -> int:
    from app.stores.bigquery.table_check import missing_part, read_table, setup_error  # noqa: PLC0415 - as above

    name = access.place.table_id(table.name)
    try:
        found = differences(table, read_table(access, table.name))
    except Exception as error:  # the last line of defence: a command ends with a line, not a traceback
        obstacle = setup_error(error, access.place, table.name)
        if missing_part(error) != "table":
            raise _CannotLookError(f"{obstacle.state.value}: {obstacle.detail}") from error
        sys.stdout.write(f"{name}: missing\n  breaks  {obstacle.detail[:1].upper()}{obstacle.detail[1:]}.\n")
        return DIFFERENT
    words = Counter(difference.word for difference in found)
    counts = [(words["breaks"], "breaking"), (words["pending"], "pending"), (words["noted"], "noted")]
    counted = ", ".join(f"{count} {word}" for count, word in counts if count)
    must_change = bool(words["breaks"] or words["pending"])
    verdict = ("does not fit" if must_change else "fits") + (f" ({counted})" if counted else "")
    sys.stdout.write(f"{name}: {verdict}\n{report(found)}")
    return DIFFERENT if must_change else SAME


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `… | head` ends it silently
    sys.exit(main(sys.argv[1:], os.environ))
