"""What the OpenAPI document says about the routes of the query side; their parameters are read by `params`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import (
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Schema,
)
from litestar.openapi.spec import Parameter as OpenAPIParameter
from litestar.openapi.spec.enums import OpenAPIFormat

from app.query.params.page import Parameter
from app.schema.columns import Column, Kind, Mode

_SCHEMAS: dict[Kind, Callable[[], Schema]] = {
    Kind.BOOL: lambda: Schema(type=OpenAPIType.BOOLEAN),
    Kind.INT64: lambda: Schema(type=OpenAPIType.INTEGER),
    Kind.FLOAT64: lambda: Schema(type=OpenAPIType.NUMBER),
    Kind.NUMERIC: lambda: Schema(type=OpenAPIType.STRING, pattern=r"^-?[0-9]+(\.[0-9]+)?$"),
    Kind.STRING: lambda: Schema(type=OpenAPIType.STRING),
    Kind.BYTES: lambda: Schema(type=OpenAPIType.STRING, content_encoding="base64"),
    Kind.TIMESTAMP: lambda: Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME),
    Kind.DATE: lambda: Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE),
    Kind.TIME: lambda: Schema(type=OpenAPIType.STRING, description="A time of day without an offset."),
    Kind.JSON: Schema,
}
_HEADERS = {
    "Link": 'The next page as a URL relative to this one: `<…>; rel="next"`. Missing at the window\'s end.',
    "Sluice-Next-Cursor": "As `next_cursor`. Missing at the window's end.",
    "Sluice-Resume-Cursor": "As `resume_cursor`.",
}


def row_schema(columns: tuple[Column, ...]) -> Schema:
    """Return the JSON Schema of a row as it is served: every column is there, null where it has no value."""
    return Schema(
        type=OpenAPIType.OBJECT,
        properties={column.name: _column_schema(column) for column in columns},
        required=[column.name for column in columns],
    )


def _column_schema(column: Column) -> Schema:
    item = row_schema(column.fields) if column.kind is Kind.STRUCT else _SCHEMAS[column.kind]()
    if column.mode is Mode.REPEATED:
        item = Schema(type=OpenAPIType.ARRAY, items=item)
    if column.mode is Mode.NULLABLE and isinstance(item.type, OpenAPIType):
        item.type = [item.type, OpenAPIType.NULL]
    item.description = column.description or item.description
    return item


def page_response(row: Schema) -> OpenAPIResponse:
    """Describe a page of rows."""
    instant = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
    page = Schema(
        type=OpenAPIType.OBJECT,
        properties={
            "records": Schema(type=OpenAPIType.ARRAY, items=row),
            "next_cursor": Schema(
                type=[OpenAPIType.STRING, OpenAPIType.NULL],
                description="The cursor of the next page; null when the window is read to its end.",
            ),
            "resume_cursor": Schema(
                type=OpenAPIType.STRING,
                description="The cursor that goes on, later, with whatever is newer than what was read.",
            ),
            "window": Schema(
                type=OpenAPIType.OBJECT,
                properties={"since": instant, "until": instant},
                required=["since", "until"],
            ),
            "poll_after": Schema(
                type=OpenAPIType.INTEGER,
                description="Seconds to wait before reading on; 0 when there is more already.",
            ),
        },
        required=["records", "next_cursor", "resume_cursor", "window", "poll_after"],
    )
    example: dict[str, Any] = {
        "records": [],
        "next_cursor": None,
        "resume_cursor": "q1nDpJcBp3JlY29yZHPC0wAGSVVhPUAAwMCg",
        "window": {"since": "2026-01-31T11:00:00Z", "until": "2026-01-31T12:00:00Z"},
        "poll_after": 1,
    }
    return OpenAPIResponse(
        description="A page of records, in the order of (`ingest_time`, `delivery_key`).",
        headers={
            name: OpenAPIHeader(description=text, schema=Schema(type=OpenAPIType.STRING))
            for name, text in _HEADERS.items()
        },
        content={
            "application/json": OpenAPIMediaType(schema=page, example=example),
            "application/x-ndjson": OpenAPIMediaType(schema=row),
        },
    )


def versions_response(row: Schema) -> OpenAPIResponse:
    """Describe the answer of a look-up by id."""
    versions = Schema(
        type=OpenAPIType.OBJECT,
        properties={
            "records": Schema(type=OpenAPIType.ARRAY, items=row, description="Newest first."),
            "complete": Schema(type=OpenAPIType.BOOLEAN, description="False when there are older ones, too."),
        },
        required=["records", "complete"],
    )
    either = Schema(one_of=[row, versions])
    return OpenAPIResponse(
        description="The latest version of the record; with `versions=all`, all of them.",
        content={"application/json": OpenAPIMediaType(schema=either)},
    )


def operation_type(
    parameters: Mapping[str, Parameter], response: OpenAPIResponse | None = None, *, path: str | None = None
) -> type[Operation]:
    """Return the class of an operation with these query parameters, this answer and, maybe, a path parameter."""
    documented = [
        OpenAPIParameter(
            name=name,
            param_in="query",
            description=parameter.description,
            schema=Schema(**_schema_fields(parameter.schema)),
            example=parameter.example,
        )
        for name, parameter in parameters.items()
    ]
    if path is not None:
        text = Schema(type=OpenAPIType.STRING)
        documented.insert(0, OpenAPIParameter(name=path, param_in="path", required=True, schema=text))

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            self.parameters = list(documented)
            if response is not None and self.responses is not None:
                self.responses["200"] = response

    return Documented


def _schema_fields(schema: dict[str, Any]) -> dict[str, Any]:
    fields = dict(schema)
    fields["type"] = OpenAPIType(fields["type"])
    return fields


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
