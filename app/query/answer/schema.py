"""The routes `/v1/schema`, of each stream too, and `/v1/problems`: responses that hardly change in a process's life.

Each is encoded once, and sent only to clients without a copy. Only the undeclared members in a schema change.
"""

import enum
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import msgspec
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.auth.grants import Principal
from app.http import paths
from app.http.contract import CONTRACT, JSON, Answer, Contract, media
from app.http.problems import CATALOGUE
from app.http.reading import METHODS, VARY, has_current, read_response, strong_etag
from app.query.answer.contract import NOT_MODIFIED
from app.query.request.parameters import parse_nothing
from app.query.routes import EndpointSpec, StreamParts
from app.schema.columns import flat
from app.schema.filters import filter_table
from app.schema.record_json import record_schema
from app.schema.table import Table, schema_version
from app.schema.undeclared_members import SeenMember, SeenMembers, record_policy

# A release may change them: a client revalidates after five minutes, which costs no body.
_KEPT = "private, max-age=300"
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


class UndeclaredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The members that a record type does not declare: what becomes of them, and those seen.

    `policy` is that of the record type; a nested type may have its own. `kept_in` is the field that keeps them. `seen`
    are those that this instance has seen since it started, the most frequent first. It is null for a caller who may not
    read every record; those of rejected records need the scope `rejects`. `others` counts the members beyond the first
    200 names.
    """

    policy: Literal["reject", "keep", "drop"]
    kept_in: str | None
    seen: list[SeenMember] | None
    others: int


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
    undeclared_members: UndeclaredEntry


class SchemaAnswer(msgspec.Struct, frozen=True):
    """The tables of the service."""

    tables: list[TableEntry]


class SchemaEndpoint:
    """Describes tables; `paths` are where their rows are read. `seen` are the undeclared members by table name.

    The answer is encoded on the first request. One that names seen members is encoded again after it has changed.
    """

    def __init__(self, *tables: tuple[Table, str], seen: Mapping[str, SeenMembers]) -> None:
        self._tables, self._seen = tables, seen
        self._answers: dict[_Sight, tuple[int, StaticResponse]] = {}

    @cached_property
    def entries(self) -> list[TableEntry]:
        """The descriptions of the tables, without seen members."""
        return [table_entry(table, path) for table, path in self._tables]

    async def answer(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer with the descriptions, or with 304 if the caller has them.

        Raises:
            ProblemError: `invalid_parameter`: there are none.
        """
        sight = _sight(request.state.principal)
        seen = [] if sight is _Sight.NONE else [self._seen.get(table.name) for table, _ in self._tables]
        changes = sum(each.changes for each in seen if each is not None)
        known = self._answers.get(sight)
        if known is None or known[0] != changes:
            entries = [self._with_seen(entry, sight) for entry in self.entries]
            known = self._answers[sight] = changes, StaticResponse(msgspec.json.encode(SchemaAnswer(entries)))
        return known[1].to(request)

    def _with_seen(self, entry: TableEntry, sight: "_Sight") -> TableEntry:
        seen = self._seen.get(entry.name)
        if sight is _Sight.NONE:
            return entry
        members = seen.members if seen is not None else []
        shown = [each for each in members if sight is _Sight.ALL or each.outcome != "rejected"]
        others = seen.others if seen is not None else 0
        undeclared = msgspec.structs.replace(entry.undeclared_members, seen=shown, others=others)
        return msgspec.structs.replace(entry, undeclared_members=undeclared)


class _Sight(enum.Enum):
    """Which of the seen members a caller may see: their names are content of records."""

    NONE = enum.auto()
    STORED = enum.auto()
    ALL = enum.auto()


def _sight(principal: Principal) -> _Sight:
    if principal.filters or "read" not in principal.scopes:
        return _Sight.NONE
    return _Sight.ALL if "rejects" in principal.scopes else _Sight.STORED


def schema_contract(endpoint: SchemaEndpoint) -> Contract:
    """Return the contract of `endpoint`."""
    first = endpoint.entries[0]
    seen = msgspec.structs.replace(first.undeclared_members, seen=[SeenMember("colour", "rejected", 3)])
    short = msgspec.structs.replace(
        first, columns=first.columns[:2], json_schema={"type": "object"}, undeclared_members=seen
    )
    example = msgspec.to_builtins(SchemaAnswer([short]))
    described = Answer("The tables.", {JSON: media(SchemaAnswer, example)})
    return Contract(answers={200: described, 304: NOT_MODIFIED}, problems=_PROBLEMS)


def _schema(parts: StreamParts) -> SchemaEndpoint:
    records, rejects = (parts.table, f"{parts.root}/records"), (parts.reject_feed.table, f"{parts.root}/rejects")
    return SchemaEndpoint(records, rejects, seen=parts.responder.metrics.seen_members)


SCHEMA = EndpointSpec(
    path="/schema",
    make=_schema,
    answer=SchemaEndpoint.answer,
    contract=schema_contract,
    scope=None,
    name="readSchema",
    summary="Read the schema of records",
    text="The columns of records and rejected records (name, type, description, filters), the JSON Schema of a record, "
    "and a version that changes with them. Also the undeclared members that this instance has seen, for callers who "
    "may read every record.",
    is_read=False,
)


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
        json_schema=record_schema(table.record_type, table.versions),
        undeclared_members=UndeclaredEntry(
            policy=record_policy(table.record_type).value,
            kept_in=table.rest.name if table.rest else None,
            seen=None,
            others=0,
        ),
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
