"""What an agent may call, and the request of the API that each call is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from app.http import paths
from app.http.contract import Parameter
from app.query.params.catalogue import PAGE_PARAMETERS, RECORD_PARAMETERS, STATS_PARAMETERS
from app.streams import Streams

DEFAULT_LIMIT, MAX_LIMIT = 20, 200
"""Records of a page. An agent reads every one, so they are few; `cursor` continues."""
_FILTERS = {
    "type": "object",
    "description": "Only records that match all of these: a field, or `field.operator`, and its value, as in "
    '{"country": "NO", "total_cents.gte": 1000}. get_schema lists the fields and their operators.',
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
_LIMIT = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_LIMIT,
    "description": f"Records of the page, {DEFAULT_LIMIT} if it is left out.",
}
_PAGE = ("since", "until", "cursor", "order", "fields", "count", "freshness")
_STATS = ("since", "until", "bucket", "by", "metric")


class ArgumentsError(Exception):
    """The arguments of a call cannot be used; the message names each, and what would be right."""


class Ask(msgspec.Struct, frozen=True):
    """A GET of the API: the path, and the query string."""

    path: str
    query: str = ""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool: its name and description, the JSON Schema of each argument, and the request that a call is."""

    name: str
    description: str
    arguments: Mapping[str, Mapping[str, Any]] = {}
    required: tuple[str, ...] = ()
    ask: Callable[[Mapping[str, Any]], Ask]

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the arguments."""
        return {
            "type": "object",
            "properties": dict(self.arguments),
            "required": list(self.required),
            "additionalProperties": False,
        }

    def request(self, given: Mapping[str, Any]) -> Ask:
        """Return the request that a call with these arguments is.

        Raises:
            ArgumentsError: one is unknown, missing, or of another type. Whatever else is wrong, the API tells.
        """
        faults = [
            *(f"{name}: there is no such argument" for name in given if name not in self.arguments),
            *(f"{name}: it is required" for name in self.required if name not in given),
            *(
                f"{name}: expected {_type_text(self.arguments[name])}"
                for name, value in given.items()
                if name in self.arguments and not _fits(value, self.arguments[name])
            ),
        ]
        if faults:
            known = ", ".join(self.arguments) or "none"
            raise ArgumentsError(f"{'; '.join(faults)} (arguments of {self.name}: {known})")
        return self.ask(given)


def tools_of(streams: Streams) -> Sequence[Tool]:
    """Return the tools of a deployment; with named streams, each takes the stream as an argument."""
    stream = _stream_argument(streams)
    has_ids = any(each.table.id is not None for each in streams.by_name.values())
    listing = [
        Tool(
            name="list_streams",
            description="List the streams of records that the caller may read.",
            ask=lambda _: Ask(paths.STREAMS),
        )
    ]
    return [
        *(listing if streams.are_named else []),
        Tool(
            name="get_schema",
            description="Describe the records: every field with its type, its meaning, the operators it may be "
            "filtered by, and whether it may be grouped or aggregated. Call it first.",
            arguments=stream,
            ask=lambda given: Ask(_place(given, "/schema")),
        ),
        Tool(
            name="query_records",
            description="Return records of a window of time, oldest first, each once. `next_cursor` continues the "
            "window; `resume_cursor` returns later records.",
            arguments={**stream, **_described(PAGE_PARAMETERS, _PAGE), "limit": _LIMIT, "filters": _FILTERS},
            ask=lambda given: Ask(_place(given, "/records"), _query(given, limit=DEFAULT_LIMIT)),
        ),
        *([_get_record(stream)] if has_ids else []),
        Tool(
            name="get_statistics",
            description="Count records, or compute averages, extremes and percentiles of a field, over time and by "
            "group, without reading the records one by one. Prefer it to reading pages and counting.",
            arguments={**stream, **_described(STATS_PARAMETERS, _STATS), "filters": _FILTERS},
            ask=lambda given: Ask(_place(given, "/records/stats"), _query(given)),
        ),
        Tool(
            name="list_rejects",
            description="Return rejected records: the reason, the field, and the payload in base64. Only for callers "
            "with the scope `rejects`.",
            arguments={**stream, **_described(PAGE_PARAMETERS, _PAGE), "limit": _LIMIT, "filters": _FILTERS},
            ask=lambda given: Ask(_place(given, "/rejects"), _query(given, limit=DEFAULT_LIMIT)),
        ),
    ]


def _get_record(stream: Mapping[str, Any]) -> Tool:
    return Tool(
        name="get_record",
        description="Return the newest version of one record, by its id; with `versions` = `all`, every version.",
        arguments={
            **stream,
            "id": {"type": "string", "minLength": 1, "description": "The record's id."},
            **_described(RECORD_PARAMETERS, ("versions", "fields")),
        },
        required=("id",),
        ask=lambda given: Ask(f"{_place(given, '/records')}/{quote(given['id'], safe='')}", _query(given)),
    )


def _stream_argument(streams: Streams) -> dict[str, Any]:
    if not streams.are_named:
        return {}
    default = streams.default.name
    return {"stream": {"type": "string", "description": f"The stream, {default} if it is left out; see list_streams."}}


def _place(given: Mapping[str, Any], below: str) -> str:
    stream = given.get("stream")
    return f"/v1{below}" if stream is None else f"{paths.STREAMS}/{quote(stream, safe='')}{below}"


def _query(given: Mapping[str, Any], **defaults: Any) -> str:
    plain = {name: value for name, value in given.items() if name not in {"stream", "id", "filters"}}
    pairs = defaults | plain | given.get("filters", {})
    return urlencode({name: _text(value) for name, value in pairs.items()})


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _described(parameters: Mapping[str, Parameter], names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of the API as arguments."""
    return {name: {**parameters[name].schema, "description": _with_default(parameters[name])} for name in names}


def _with_default(parameter: Parameter) -> str:
    default = f" Default: {parameter.default}." if parameter.default else ""
    shown = f" Example: {parameter.example}." if parameter.example and " " not in parameter.example else ""
    return f"{parameter.description}{default}{shown}"


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    match schema.get("type", "string"), value:
        case "integer", int():
            return not isinstance(value, bool) and bool(schema["minimum"] <= value <= schema["maximum"])
        case "string", str():
            return bool(len(value) >= schema.get("minLength", 0))
        case "object", dict():
            return all(isinstance(each, str | int | float) for each in value.values())
    return False


def _type_text(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "string")
    if kind == "integer":
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    if kind == "object":
        return "an object of texts, numbers and bools"
    return "a text that is not empty" if schema.get("minLength") else "a text"
