"""The routes `/v1/schema`, of each stream too, and `/v1/problems`: responses that never change while the process lives.

Each is encoded once, and sent only to clients without a copy.
"""

from typing import Any

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.http import paths
from app.http.conditional import VARY, strong_etag
from app.http.contract import CONTRACT, JSON, Answer, Contract, media
from app.http.problems import CATALOGUE
from app.http.reading import METHODS, has_current, read_response
from app.query.endpoints.openapi import NOT_MODIFIED
from app.query.endpoints.served import Served
from app.query.params.collector import parse_nothing
from app.schema.columns import flat
from app.schema.filters import filter_table
from app.schema.table import Table, schema_version
from app.schema.versions import json_schema

# A release may change them: a client revalidates after five minutes, which costs no body.
_KEPT = "private, max-age=300"
SCHEMA = "/v1/schema"
_PROBLEMS = {
    400: "The endpoint has no parameters.",
    401: "The token or API key is missing or not valid.",
    403: "The caller may not do this.",
}


class StaticResponse:
    """A JSON document and its entity tag."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._headers = {"ETag": strong_etag(body), "Cache-Control": _KEPT, "Vary": VARY}

    def to(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer a GET or a HEAD with the document, or with 304 if the caller has it.

        Raises:
            ProblemError: `invalid_parameter`: there are none.
        """
        parse_nothing(request.scope["query_string"].decode("latin-1"))
        if has_current(request, self._headers["ETag"]):
            return Response(b"", status_code=304, headers=self._headers)
        return read_response(request, self._body, "application/json", self._headers)


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


class SchemaEndpoint:
    """Describes tables; `paths` are where their rows are read. The answer is encoded on the first request."""

    def __init__(self, *tables: tuple[Table, str]) -> None:
        self._tables = tables
        self._answer: StaticResponse | None = None

    @property
    def entries(self) -> list[TableEntry]:
        """The descriptions of the tables."""
        return [table_entry(table, path) for table, path in self._tables]

    def answer(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer with the descriptions, or with 304 if the caller has them.

        Raises:
            ProblemError: `invalid_parameter`: there are none.
        """
        if self._answer is None:
            self._answer = StaticResponse(msgspec.json.encode(SchemaAnswer(self.entries)))
        return self._answer.to(request)


def schema_contract(endpoint: SchemaEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    first = endpoint.entries[0]
    short = msgspec.structs.replace(first, columns=first.columns[:2], json_schema={"type": "object"})
    example = msgspec.to_builtins(SchemaAnswer([short]))
    described = Answer("The tables.", {JSON: media(SchemaAnswer, example)})
    return Contract(answers={200: described, 304: NOT_MODIFIED}, problems=_PROBLEMS)


def schema_route(served: Served[SchemaEndpoint]) -> HTTPRouteHandler:
    """Return the route that describes tables."""

    @route(
        served.path,
        http_method=METHODS,
        operation_id="readSchema",
        opt={**served.opt},
        summary="Read the schema of records",
        description="The columns of records and rejected records (name, type, description, filters), the JSON "
        "Schema of a record, and a version that changes with them.",
        tags=["query"],
    )
    async def read_schema(request: Request[Any, Any, Any]) -> Response[bytes]:
        return served.of(request.scope).answer(request)

    return read_schema


def table_entry(table: Table, path: str) -> TableEntry:
    """Return the description of `table`, whose rows are read at `path`.

    Columns are in the table's order; the fields of a STRUCT follow it. Types and modes are BigQuery's
    (https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema).
    """
    return TableEntry(
        name=table.name,
        path=path,
        schema_version=schema_version(table),
        id=table.id.name if table.id else None,
        columns=_columns(table),
        json_schema=json_schema(table.record_type, table.versions),
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


class ProblemEntry(msgspec.Struct, frozen=True):
    """A problem that the service may answer with."""

    type: str
    code: str
    status: int
    title: str
    advice: str


class ProblemList(msgspec.Struct, frozen=True):
    """All of them."""

    problems: list[ProblemEntry]


def problems_route() -> HTTPRouteHandler:
    """Return the route of the catalogue."""
    problems = [
        ProblemEntry(
            type=f"{paths.PROBLEMS}#{code}",
            code=code,
            status=kind.status,
            title=kind.title,
            advice=kind.advice,
        )
        for code, kind in CATALOGUE.items()
    ]
    answer = StaticResponse(msgspec.json.encode(ProblemList(problems)))
    example = msgspec.to_builtins(ProblemList(problems[:2]))
    described = Answer("The catalogue.", {JSON: media(ProblemList, example)})
    contract = Contract(answers={200: described, 304: NOT_MODIFIED}, problems=_PROBLEMS)

    @route(
        paths.PROBLEMS,
        http_method=METHODS,
        operation_id="listProblems",
        opt={CONTRACT: contract},
        summary="Read the catalogue of problems",
        description="Every `code` of a problem document, with its status, title and advice.",
        tags=["query"],
    )
    async def read_problems(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer.to(request)

    return read_problems
