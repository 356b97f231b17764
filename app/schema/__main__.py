"""Print what is derived from the record type: `python -m app.schema bigquery`."""

import argparse
import json
import os
import sys
from collections.abc import Callable

import msgspec

from app.record import RecordTypeError, load_record_type
from app.schema.bigquery import bigquery_schema
from app.schema.duckdb import duckdb_ddl
from app.schema.filters import filter_table
from app.schema.table import Table, records_table, rejects_table

DEFAULT_RECORD = "app.record:Record"


def _bigquery(table: Table) -> str:
    return json.dumps(bigquery_schema(table), indent=2)


def _proto(table: Table) -> str:
    from google.protobuf import json_format  # noqa: PLC0415 - an extra that the other derivations do without

    from app.schema.protobuf import protobuf_descriptor  # noqa: PLC0415 - likewise

    return json_format.MessageToJson(protobuf_descriptor(table))


def _duckdb(table: Table) -> str:
    return duckdb_ddl(table) + ";"


def _jsonschema(table: Table) -> str:
    return json.dumps(msgspec.json.schema(table.record_type), indent=2)


def _filters(table: Table) -> str:
    return msgspec.json.format(msgspec.json.encode(list(filter_table(table).values()))).decode()


_DERIVATIONS: dict[str, tuple[str, Callable[[Table], str]]] = {
    "bigquery": ("the table's schema, as bq and Terraform take it", _bigquery),
    "proto": ("the writer schema of the Storage Write API", _proto),
    "duckdb": ("the embedded store's CREATE TABLE", _duckdb),
    "jsonschema": ("the JSON Schema a producer can check against", _jsonschema),
    "filters": ("the fields a query may filter and aggregate", _filters),
}


def main(arguments: list[str], record: str) -> int:
    """Print one derivation; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.schema", description="Print what a record type becomes.")
    parser.add_argument(
        "--record", default=record, help="package.module:Type (default: $SLUICE_RECORD, else %(default)s)"
    )
    parser.add_argument("--rejects", action="store_true", help="of the table of rejected records instead")
    commands = parser.add_subparsers(dest="derivation", required=True)
    for name, (summary, _) in _DERIVATIONS.items():
        commands.add_parser(name, help=summary)
    options = parser.parse_args(arguments)
    try:
        table = rejects_table() if options.rejects else records_table(load_record_type(options.record))
        sys.stdout.write(_DERIVATIONS[options.derivation][1](table) + "\n")
    except RecordTypeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("SLUICE_RECORD", DEFAULT_RECORD)))
