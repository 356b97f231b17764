"""The OpenAPI description of the query routes; `params` parses their parameters.

A route passes `operation_type(parameters, response)` to the framework as its operation class. `page_response` and
`versions_response` describe responses; `answer` describes all others (several media types, binary ones, an event
stream). app.openapi adds what all routes share (tokens, problems and their examples).
"""

from collections.abc import Callable, Iterable, Mapping
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

from app.query.formats.negotiation import MEDIA_TYPES
from app.query.params.collector import Parameter
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

# The headers that a response may have; a route names those it sends.
HEADERS: dict[str, str] = {
    "Link": 'The next page as a URL relative to this one: `<…>; rel="next"`. Missing at the window\'s end.',
    "Sluice-Next-Cursor": "As `next_cursor`. Missing at the window's end.",
    "Sluice-Resume-Cursor": "As `resume_cursor`.",
    "ETag": "Sent back as `If-None-Match`, it is answered with 304 while nothing has changed.",
    "Cache-Control": "How long the caller, and nobody between, may keep the answer.",
    "Vary": "The request headers that the answer depends on.",
    "Sluice-Count": "As `count`: a number, then `;relation=eq`, or `;relation=gte` where it is at least so many.",
    "Sluice-Cache": "`hit`, `miss`, `joined` (to another caller's equal question), `bypass`, or `revalidated` (a 304).",
    "Sluice-Bytes-Processed": "What the query read, in bytes, where the store says it.",
    "Server-Timing": "Where the time went.",
}
PAGE_HEADERS = tuple(HEADERS)
NOT_MODIFIED = OpenAPIResponse(description="What the caller has, by its `If-None-Match`, is still so. No body.")
ARROW, CSV, EVENTS = "application/vnd.apache.arrow.stream", "text/csv", "text/event-stream"
_BODIES: dict[str, str] = {
    ARROW: "An Arrow IPC stream.",
    CSV: "RFC 4180: a header line, then a line a record.",
    EVENTS: "Server-sent events.",
}


class Literally(Schema):
    """A JSON Schema or an example, inserted into the document unchanged: the framework would drop nulls."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self._data = data

    def to_schema(self) -> Any:
        """Return the wrapped data."""
        return self._data


def inlined_schema(type_: type[msgspec.Struct]) -> Literally:
    """Return the JSON Schema of a Struct, with nested ones inlined."""
    (schema,), definitions = msgspec.json.schema_components([type_], ref_template="{name}")

    def inlined(part: Any) -> Any:
        match part:
            case {"$ref": str(name)}:
                return inlined(definitions[name])
            case dict():
                return {key: inlined(value) for key, value in part.items()}
            case list():
                return [inlined(value) for value in part]
            case _:
                return part

    return Literally(inlined(schema))


def answer(
    description: str,
    contents: Mapping[str, Schema | None],
    *,
    headers: Iterable[str] = (),
    examples: Mapping[str, Any] | None = None,
) -> OpenAPIResponse:
    """Describe a response in the media types that are the keys of `contents`, with an example of each in `examples`.

    A schema of None means a body that JSON Schema cannot describe: binary, CSV, an event stream.
    """
    examples = examples or {}
    return OpenAPIResponse(
        description=description,
        headers={
            name: OpenAPIHeader(description=HEADERS[name], schema=Schema(type=OpenAPIType.STRING)) for name in headers
        },
        content={
            _bare(media_type): OpenAPIMediaType(
                schema=schema or _body_schema(_bare(media_type)), example=_literal(examples.get(media_type))
            )
            for media_type, schema in contents.items()
        },
    )


def _literal(example: Any) -> Literally | None:
    return None if example is None else Literally(example)


def _bare(media_type: str) -> str:
    """Return a media type without its parameters: those of a response may differ."""
    return media_type.partition(";")[0]


def _body_schema(media_type: str) -> Schema:
    text = _BODIES.get(media_type)
    # The reader chooses how to represent events: as text, or as one object per event.
    return Schema(type=OpenAPIType.STRING if media_type == CSV else None, description=text)


def row_schema(columns: tuple[Column, ...]) -> Schema:
    """Return the JSON Schema of a row as it is served.

    Every column is present, null if it has no value. None is required, because `fields` may select fewer.
    """
    return Schema(
        type=OpenAPIType.OBJECT,
        properties={column.name: _column_schema(column) for column in columns},
    )


def _column_schema(column: Column) -> Schema:
    item = row_schema(column.fields) if column.kind is Kind.STRUCT else _SCHEMAS[column.kind]()
    if column.mode is Mode.REPEATED:
        item = Schema(type=OpenAPIType.ARRAY, items=item)
    if column.mode is Mode.NULLABLE and isinstance(item.type, OpenAPIType):
        item.type = [item.type, OpenAPIType.NULL]
    item.description = column.description or item.description
    return item


def page_response(
    row: Schema, example_row: dict[str, Any] | None = None, *, instead: Iterable[Schema] = ()
) -> OpenAPIResponse:
    """Describe a page of rows: a document of its own as JSON, only the rows in every other format.

    `instead` lists the JSON documents that a parameter may request in place of a page, such as an explanation.
    """
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
        "records": [] if example_row is None else [example_row],
        "next_cursor": None,
        "resume_cursor": "q1nDpJcBp3JlY29yZHPC0wAGSVVhPUAAwMCg",
        "window": {"since": "2026-01-31T11:00:00Z", "until": "2026-01-31T12:00:00Z"},
        "poll_after": 1,
    }
    others = list(instead)
    document = Schema(any_of=[page, *others]) if others else page
    schemas = {MEDIA_TYPES["json"]: document, MEDIA_TYPES["ndjson"]: row}
    return answer(
        "A page of records, in the order of (`ingest_time`, `delivery_key`). As NDJSON, each line is one record.",
        {media_type: schemas.get(media_type) for media_type in MEDIA_TYPES.values()},
        headers=PAGE_HEADERS,
        examples={MEDIA_TYPES["json"]: example, MEDIA_TYPES["ndjson"]: example_row},
    )


def versions_response(row: Schema, example_row: dict[str, Any] | None = None) -> OpenAPIResponse:
    """Describe the response to a look-up by id."""
    versions = Schema(
        type=OpenAPIType.OBJECT,
        properties={
            "records": Schema(type=OpenAPIType.ARRAY, items=row, description="Newest first."),
            "complete": Schema(type=OpenAPIType.BOOLEAN, description="False when there are older ones, too."),
        },
        required=["records", "complete"],
    )
    return answer(
        "The latest version of the record; with `versions=all`, all of them.",
        {MEDIA_TYPES["json"]: Schema(any_of=[row, versions])},
        headers=("Cache-Control", "Server-Timing"),
        examples={MEDIA_TYPES["json"]: example_row},
    )


def operation_type(
    parameters: Mapping[str, Parameter],
    response: OpenAPIResponse | None = None,
    *,
    path: str | None = None,
    responses: Mapping[int, OpenAPIResponse] | None = None,
    example: Any = None,
) -> type[Operation]:
    """Return the class of an operation with these query parameters and, optionally, a path parameter.

    `response` is the response with status 200; `responses` are further ones by status, such as `{304: NOT_MODIFIED}`.
    Without a `response` the framework derives it from the handler's annotation, and `example` is an example of it.
    """
    documented = [
        OpenAPIParameter(
            name=name,
            param_in="query",
            description=parameter.description,
            schema=Literally(parameter.schema),
            example=_example(parameter),
        )
        for name, parameter in parameters.items()
    ]
    if path is not None:
        text = Literally({"type": "string", "minLength": 1})
        documented.insert(0, OpenAPIParameter(name=path, param_in="path", required=True, schema=text))
    answers = {str(status): described for status, described in (responses or {}).items()}
    if response is not None:
        answers["200"] = response

    @dataclass
    class Documented(Operation):
        def __post_init__(self) -> None:
            self.parameters = list(documented)
            self.responses = {**(self.responses or {}), **answers}
            derived = self.responses.get("200")
            if response is None and isinstance(derived, OpenAPIResponse) and derived.content:
                derived.content[MEDIA_TYPES["json"]].example = _literal(example)

    return Documented


def _example(parameter: Parameter) -> Any:
    """Return the example in the parameter's own type, not as the text in a URL."""
    if parameter.schema.get("type") in {"integer", "number", "boolean"}:
        return msgspec.json.decode(parameter.example)
    return parameter.example


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
