"""Print a derivation of the record type, or compare or index the live tables."""

import argparse
import json
import logging
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from app.record import RecordTypeError
from app.runtime.imports import missing_package
from app.schema.columns import Column, Kind
from app.schema.filters import filter_table
from app.schema.record_json import record_schema
from app.schema.table import Table, rejects_table
from app.settings.load import Settings, SettingsError, load_settings
from app.stores.bigquery.table_layout import bigquery_schema, differences
from app.stores.bigquery.watermarks import instances_table
from app.stores.duckdb.table_layout import duckdb_ddl
from app.stores.erasures import erasures_table
from sluice.cli.declared_tables import add_type_arguments, only_table, tables_of

if TYPE_CHECKING:
    from app.stores.bigquery.client import BigQueryClients

SAME, DIFFERENT, UNKNOWN = 0, 1, 2
_BIGQUERY = "SLUICE_BIGQUERY_"
_DDL_TIMEOUT_S = 60.0
_AFTER = f"""\
diff compares the tables in BigQuery with the record type, without changing them. A difference is breaking (the service
reports SCHEMA_MISMATCH and appends nothing until it is resolved), pending (an optional column is missing: the service
reports COLUMNS_PENDING, and only rows that use it wait). Whatever else differs does no harm.

index prints the statement that makes the search index on the id of each table of records, or with --apply runs it. The
index finds an id of any age at a low cost. BigQuery fills it by itself; that of a table of less than about 10 GB is
TEMPORARILY DISABLED, which is as it should be.

exit status: {SAME} it is printed, or the tables fit, {DIFFERENT} a column or a table is missing or a difference is \
breaking, {UNKNOWN} the command failed

diff and index use the application-default credentials (`gcloud auth application-default login`): diff needs only
roles/bigquery.metadataViewer on the dataset, --apply roles/bigquery.jobUser on the project and
roles/bigquery.dataEditor on the tables."""


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


def run(args: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> int:
    """Print what the options ask for; return the exit status."""
    try:
        return _dispatch(args, environ)
    except ModuleNotFoundError as error:
        sys.stderr.write(missing_package(args.derivation, error) + "\n")
        return UNKNOWN
    except (RecordTypeError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN


def _dispatch(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    match options.derivation:
        case "diff":
            rejects = rejects_table()
            tables = (
                [rejects]
                if options.rejects
                else [*tables_of(options, environ), rejects, instances_table(), erasures_table()]
            )
            return _diff(tables, _settings(environ, project=options.project, dataset=options.dataset))
        case "index":
            settings = _settings(environ, project=options.project, dataset=options.dataset)
            return _index(tables_of(options, environ), settings, apply=options.apply)
        case _:
            table = rejects_table() if options.rejects else only_table(tables_of(options, environ))
            sys.stdout.write(_DERIVATIONS[options.derivation][1](table) + "\n")
    return SAME


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    lines = [f"  {name:<12}{about}" for name, (about, _) in _DERIVATIONS.items()]
    lines += [
        "  diff        compare the live tables in BigQuery",
        "  index       the search index on the id (BigQuery)",
    ]
    parser.description = "\n".join(["Print what is derived from a record type:", "", *lines])
    parser.epilog, parser.formatter_class = _AFTER, argparse.RawDescriptionHelpFormatter
    parser.add_argument("derivation", choices=[*_DERIVATIONS, "diff", "index"], metavar="WHAT", help="one of the above")
    add_type_arguments(parser, "without it, diff and index take all of them")
    parser.add_argument("--rejects", action="store_true", help="the table of rejected records instead")
    parser.add_argument("--apply", action="store_true", help="run the statements of index")
    parser.add_argument("--project", help="the project of the tables (default: $SLUICE_BIGQUERY_PROJECT)")
    parser.add_argument("--dataset", help="the dataset of the tables (default: $SLUICE_BIGQUERY_DATASET)")


def _settings(environ: Mapping[str, str], *, project: str | None, dataset: str | None) -> Settings:
    """Return the settings of the tables and ignore all others: a laptop or a CI job has only these."""
    variables = {name: value for name, value in environ.items() if name.startswith(_BIGQUERY)}
    for name, value in (("PROJECT", project), ("DATASET", dataset)):
        if value is not None:
            variables[_BIGQUERY + name] = value
        if not variables.get(_BIGQUERY + name):
            raise SettingsError(f"{name} is missing: give --{name.lower()}, or set {_BIGQUERY}{name}")
    return load_settings(variables)


@contextmanager
def _access(settings: Settings) -> Iterator["BigQueryClients"]:
    from app.stores.bigquery.client import BigQueryClients, TableAddress  # noqa: PLC0415 - needs extras that the derivations do without

    # The libraries' advice about credentials would only bury the one line that names the error.
    logging.getLogger("google").setLevel(logging.ERROR)
    access = BigQueryClients(TableAddress.of(settings.store))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield access
        finally:
            access.close()


def _diff(tables: list[Table], settings: Settings) -> int:
    with _access(settings) as access:
        try:
            return max(_diff_one(access, table) for table in tables)
        except _CannotLookError as error:
            sys.stderr.write(f"{error}\n")
            return UNKNOWN


def _index(tables: list[Table], settings: Settings, *, apply: bool) -> int:
    with _access(settings) as access:
        ids = {access.place.table_id(table.name): table.id for table in tables if table.id is not None}
        if not ids:
            sys.stderr.write("no table of records has an id: there is nothing to index\n")
        for name, column in ids.items():
            statement = _search_index_ddl(column, name)
            try:
                if apply:
                    _run_ddl(access, statement)
            except Exception as error:  # the last line of defence: a command ends with a line, not a traceback
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                sys.stderr.write(f"{name}: its search index could not be made: {reason}\n")
                return UNKNOWN
            sys.stdout.write(f"{name}: has its search index\n" if apply else f"{statement};\n")
    return SAME


def _search_index_ddl(column: Column, table_id: str) -> str:
    """Return the statement that makes the index on the ids of a table; where there is one, it changes nothing.

    Terraform has no resource for one.
    https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_search_index_statement
    """
    # An id is one word, whatever is in it; numbers are not indexed unless that is asked for.
    options = "data_types = ['INT64']" if column.kind is Kind.INT64 else "analyzer = 'NO_OP_ANALYZER'"
    name = column.name
    return f"CREATE SEARCH INDEX IF NOT EXISTS `{name}_index` ON `{table_id}`(`{name}`) OPTIONS ({options})"


def _run_ddl(access: "BigQueryClients", statement: str) -> None:
    from google.cloud.bigquery.retry import DEFAULT_RETRY  # noqa: PLC0415 - as above

    access.client().query_and_wait(
        statement,
        retry=DEFAULT_RETRY.with_timeout(_DDL_TIMEOUT_S),
        job_retry=None,  # type: ignore[arg-type] # documented: no restart of a failed job
        wait_timeout=_DDL_TIMEOUT_S,
    )


class _CannotLookError(Exception):
    """A table cannot be inspected; the message says why."""


def _diff_one(access: "BigQueryClients", table: Table) -> int:
    from app.stores.bigquery.failures import is_table_missing, setup_error  # noqa: PLC0415 - as above
    from app.stores.bigquery.table_check import read_table  # noqa: PLC0415 - as above

    name = access.place.table_id(table.name)
    try:
        table_differences = differences(table, read_table(access, table.name))
    except Exception as error:  # the last line of defence: a command ends with a line, not a traceback
        if not is_table_missing(error):
            obstacle = setup_error(error, access.place, table.name)
            raise _CannotLookError(f"{obstacle.state.value}: {obstacle.detail}") from error
        sys.stdout.write(f"{name}: missing\n  breaks  The table does not exist: create it with `terraform apply`.\n")
        return DIFFERENT
    words = Counter(difference.effect for difference in table_differences)
    counts = [(words["breaks"], "breaking"), (words["pending"], "pending")]
    counted = ", ".join(f"{count} {word}" for count, word in counts if count)
    verdict = f"does not fit ({counted})" if counted else "fits"
    ordered = sorted(table_differences, key=lambda difference: difference.effect)
    lines = [f"  {each.effect:7} {each.sentence}\n" for each in ordered]
    sys.stdout.write(f"{name}: {verdict}\n{''.join(lines)}")
    return DIFFERENT if counted else SAME
