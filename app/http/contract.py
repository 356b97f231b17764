"""The contract of a route as data: its parameters, request body, responses and problems.

A documented route carries a `Contract` in its `opt` under CONTRACT, and app.openapi makes the document from it. Schemas
are JSON Schema in which a Struct type means its own schema, and `Named` and `Sent` mean components of the document.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

CONTRACT = "contract"
PER_STREAM = "contracts"
"""Key in the `opt` of a route with `{stream}` in its path: its contract for each stream, by name."""
STREAM = "stream"
"""Key in the `opt` of a route without: whose records it serves, OF_DEFAULT or OF_ALL; a grant may open some only."""
OF_DEFAULT, OF_ALL = "default", "all"
JSON = "application/json"


class Named(msgspec.Struct, frozen=True):
    """A schema that the document has once, as the component `name`."""

    name: str
    schema: Mapping[str, Any]


class Sent(msgspec.Struct, frozen=True):
    """The schema of the record type, whose names could collide with those of responses."""

    type: type[msgspec.Struct]


class Parameter(msgspec.Struct, frozen=True):
    """A parameter, as it is both parsed and documented.

    `schema` is the JSON Schema of its value; `example` and `default` are texts, as in a URL. `read` returns the value
    of a text, or raises ValueError. `defers` says that the default gives way to other parameters, such as a cursor: it
    is documented in words only, because generated clients send the defaults of schemas. `required` is for the query
    and headers; what is in a path always is.
    """

    description: str
    example: str | None
    schema: Mapping[str, Any]
    default: str | None = None
    read: Callable[[str], Any] = str
    location: Literal["query", "header", "path"] = "query"
    defers: bool = False
    required: bool = False


class Answer(msgspec.Struct, frozen=True):
    """A response: its content by media type, and the descriptions of its headers by name."""

    description: str
    content: Mapping[str, Mapping[str, Any]] = {}
    headers: Mapping[str, str] = {}


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of an operation; HEAD's follows from GET's. `problems` are descriptions by status."""

    answers: Mapping[int, Answer]
    problems: Mapping[int, str] = {}
    parameters: Mapping[str, Parameter] = {}
    body: Mapping[str, Mapping[str, Any]] | None = None


def media(schema: Any, example: Any = None) -> dict[str, Any]:
    """Return the description of one media type of a body."""
    return {"schema": schema} if example is None else {"schema": schema, "example": example}


def object_schema(
    description: str | None, /, optional: Mapping[str, Any] | None = None, **required: Any
) -> dict[str, Any]:
    """Return the JSON Schema of an object with these members."""
    about = {} if description is None else {"description": description}
    properties = {**required, **(optional or {})}
    return {"type": "object", **about, "properties": properties, "required": list(required)}


TEXT = {"type": "string"}
INSTANT = {"type": "string", "format": "date-time"}
TEXT_OR_NULL = {"type": ["string", "null"]}
