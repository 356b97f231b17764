"""The route `/v1/schema`: the records' columns and their JSON Schema."""

from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http import paths
from app.http.contract import CONTRACT, JSON, Answer, Contract, media
from app.http.reading import METHODS
from app.query.endpoints.openapi import NOT_MODIFIED
from app.query.endpoints.static_response import StaticResponse
from app.schema.columns import flat
from app.schema.filters import filter_table
from app.schema.table import REJECTS, Table
from app.schema.version import schema_version

SCHEMA = "/v1/schema"
_PROBLEMS = {
    400: "The endpoint has no parameters.",
    401: "The token or API key is missing or not valid.",
    403: "The caller may not do this.",
}


class ColumnEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A column, or a field of one; its `path` is dotted.

    `operators` are those of its filters, none where it may not be filtered; of a JSON column they are also those of
    every path below it. `is_added` says that the service adds it to the record.
    """

    path: str
    type: str
    mode: str
    description: str
    operators: tuple[str, ...] = ()
    groupable: bool = False
    aggregable: bool = False
    is_id: bool = False
    is_added: bool = False


class TableEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A table: where its rows are read, its columns, and the JSON Schema of its records.

    `schema_version` changes when, and only when, rows would look different.
    """

    name: str
    path: str
    schema_version: str
    id: str | None
    columns: list[ColumnEntry]
    json_schema: dict[str, Any]


class SchemaAnswer(msgspec.Struct, frozen=True):
    """The tables of the service."""

    tables: list[TableEntry]


def schema_route(*tables: Table) -> HTTPRouteHandler:
    """Return the route that describes `tables`."""
    entries = [table_entry(table) for table in tables]
    answer = StaticResponse(msgspec.json.encode(SchemaAnswer(entries)))
    short = msgspec.structs.replace(entries[0], columns=entries[0].columns[:2], json_schema={"type": "object"})
    example = msgspec.to_builtins(SchemaAnswer([short]))
    described = Answer("The tables.", {JSON: media(SchemaAnswer, example)})
    contract = Contract(answers={200: described, 304: NOT_MODIFIED}, problems=_PROBLEMS)

    @route(
        SCHEMA,
        http_method=METHODS,
        operation_id="readSchema",
        opt={CONTRACT: contract},
        summary="Read the schema of records",
        description="The columns of records and rejected records (name, type, description, filters), the JSON "
        "Schema of a record, and a version that changes with them.",
        tags=["query"],
    )
    async def read_schema(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer.to(request)

    return read_schema


def table_entry(table: Table) -> TableEntry:
    """Return the description of `table`.

    Columns are in the table's order; the fields of a STRUCT follow it. Types and modes are BigQuery's
    (https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema).
    """
    return TableEntry(
        name=table.name,
        path=paths.REJECTS if table.name == REJECTS else paths.RECORDS,
        schema_version=schema_version(table),
        id=table.id.name if table.id else None,
        columns=_columns(table),
        json_schema=msgspec.json.schema(table.record_type),
    )


def _columns(table: Table) -> list[ColumnEntry]:
    fields = filter_table(table)
    added = {path for path, _ in flat(table.envelope)}
    entries = []
    for path, column in flat(table.columns):
        field = fields.get(path)
        entries.append(
            ColumnEntry(
                path=path,
                type=column.kind.value,
                mode=column.mode.value,
                description=column.description,
                operators=field.operators if field else (),
                groupable=field.groupable if field else False,
                aggregable=field.aggregable if field else False,
                is_id=table.id is not None and path == table.id.name,
                is_added=path in added,
            )
        )
    return entries
