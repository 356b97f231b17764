"""The routes `/v1/schema`, `/v1/streams` and `/v1/problems`: what the service knows without asking its store.

Each document is sent only to clients that have no copy of it.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, route
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from app.auth.grants import Principal
from app.http import paths
from app.http.contract import CONTRACT, JSON, Answer, Contract, media
from app.http.endpoint import Ask, EndpointSpec
from app.http.problems import CATALOGUE
from app.http.reading import METHODS, VARY, has_current, read_response, strong_etag
from app.query.answer.contract import NOT_MODIFIED
from app.query.parts import StreamParts
from app.query.request.parameters import Parameters
from app.schema.columns import flat
from app.schema.filters import filter_table
from app.schema.record_json import record_schema
from app.schema.table import Table, schema_version
from app.schema.undeclared_members import record_policy
from app.streams import Streams

# A release may change them: a client revalidates after five minutes, which costs no body.
_KEPT = "private, max-age=300"
_PROBLEMS = {
    400: "The endpoint has no parameters.",
    401: "The token or API key is missing or not valid.",
    403: "The caller may not do this.",
}


async def _document(content: msgspec.Struct, request: Ask) -> Response[bytes]:
    """Answer a GET or a HEAD with `content` as JSON, or with 304 if the caller has it.

    Raises:
        ProblemError: `invalid_parameter`: there are none.
    """
    Parameters(request.scope["query_string"].decode("latin-1"), {}).check()
    body = msgspec.json.encode(content)
    headers = {"ETag": strong_etag(body), "Cache-Control": _KEPT, "Vary": VARY}
    if has_current(request, headers["ETag"]):
        return Response(b"", status_code=304, headers=headers)
    return read_response(request, body, JSON, headers)


def _route(
    path: str, name: str, summary: str, description: str, shown: Callable[[Principal | None], msgspec.Struct]
) -> HTTPRouteHandler:
    """Return the route of a document, of which each caller gets what is `shown` to it; None: everything."""

    @route(
        path,
        http_method=METHODS,
        operation_id=name,
        opt={CONTRACT: _contract(summary, shown(None))},
        summary=summary,
        description=description,
        tags=["query"],
    )
    async def read(request: Ask) -> Response[bytes]:
        return await _document(shown(request.state.principal), request)

    return read


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
    """What becomes of the members that a record type does not declare.

    `policy` is that of the record type; a nested type may have its own. `kept_in` is the field that keeps them.
    """

    policy: Literal["reject", "keep", "drop"]
    kept_in: str | None


class TableEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A table: where its rows are read, its columns, and the JSON Schema of its records.

    `schema_version` changes when, and only when, rows would look different. `deleted` and `sequence` are fields with
    these roles.
    """

    name: str
    path: str
    schema_version: str
    id: str | None
    deleted: str | None
    sequence: str | None
    retention_days: Annotated[int, Meta(description="How long its rows are kept.")]
    columns: list[ColumnEntry]
    json_schema: dict[str, Any]
    undeclared_members: UndeclaredEntry


class SchemaAnswer(msgspec.Struct, frozen=True):
    """The tables of the service."""

    tables: list[TableEntry]


def _schema_contract(answer: SchemaAnswer) -> Contract:
    first = answer.tables[0]
    short = msgspec.structs.replace(first, columns=first.columns[:2], json_schema={"type": "object"})
    return _contract("The tables.", SchemaAnswer([short]))


def _contract(description: str, example: msgspec.Struct) -> Contract:
    described = Answer(description, {JSON: media(type(example), msgspec.to_builtins(example))})
    return Contract(answers={200: described, 304: NOT_MODIFIED}, problems=_PROBLEMS)


def _schema(stream: StreamParts) -> SchemaAnswer:
    days = stream.records.cache.environment.settings.store.retention_days
    tables = [stream.records] if stream.records.feed.runner.profile.lags else [stream.records, stream.rejects]
    return SchemaAnswer([table_entry(each.feed.table, each.path, days) for each in tables])


SCHEMA = EndpointSpec(
    path="/schema",
    make=_schema,
    respond=_document,
    contract=_schema_contract,
    scope=None,
    name="readSchema",
    summary="Read the schema of records",
    text="The columns of records and rejected records (name, type, description, filters), the JSON Schema of a record, "
    "and a version that changes with them.",
    is_read=False,
)


def table_entry(table: Table, path: str, default_days: int) -> TableEntry:
    """Return the description of `table`, whose rows are read at `path`; `default_days` is SLUICE_RETENTION_DAYS.

    Columns are in the table's order; the fields of a STRUCT follow it. Types and modes are BigQuery's
    (https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema).
    """
    return TableEntry(
        name=table.name,
        path=path,
        schema_version=schema_version(table),
        id=table.id.name if table.id else None,
        deleted=table.deleted.name if table.deleted else None,
        sequence=table.sequence.name if table.sequence else None,
        retention_days=table.kept_days(default_days),
        columns=_columns(table),
        json_schema=record_schema(table.record_type, table.versions),
        undeclared_members=UndeclaredEntry(
            policy=record_policy(table.record_type).value,
            kept_in=table.rest.name if table.rest else None,
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
            type=f"{paths.PROBLEMS}#{code}", code=code, status=kind.status, title=kind.title, advice=kind.advice
        )
        for code, kind in CATALOGUE.items()
    ]

    return _route(
        paths.PROBLEMS,
        "listProblems",
        "Read the catalogue of problems",
        "Every `code` of a problem document, with its status, title and advice.",
        lambda _: ProblemList(problems),
    )


class StreamEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A stream, whose paths begin with `/v1/streams/` and its name."""

    name: str
    is_default: Annotated[bool, Meta(description="Whether `/v1/records` serves it.")]
    id: Annotated[str | None, Meta(description="The field that `/records/{id}` looks up; null if there is none.")]
    schema_version: Annotated[str, Meta(description="Changes when, and only when, rows would look different.")]
    retention_days: Annotated[int, Meta(description="How long its records are kept.")]


class StreamList(msgspec.Struct, frozen=True):
    """The streams, the default one first."""

    streams: list[StreamEntry]


def streams_route(streams: Streams, retention_days: int) -> HTTPRouteHandler:
    """Return the route that lists `streams`; one without a retention of its own keeps rows for `retention_days`."""
    entries = [
        StreamEntry(
            name=name,
            is_default=stream is streams.default,
            id=stream.table.id.name if stream.table.id else None,
            schema_version=schema_version(stream.table),
            retention_days=stream.table.kept_days(retention_days),
        )
        for name, stream in streams.by_name.items()
    ]

    return _route(
        paths.STREAMS,
        "listStreams",
        "List the streams",
        "Each stream has a record type, a table and paths of its own. A caller whose grant names streams sees those "
        "only.",
        lambda caller: StreamList([each for each in entries if caller is None or caller.may_use(each.name)]),
    )
