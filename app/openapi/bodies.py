"""Request bodies: the record's JSON Schema, and a Pub/Sub push message."""

import base64
from typing import Any

import msgspec

from app.schema.example import example_record
from app.schema.table import Table

_SENT = "sent."  # prefix for the names of the record's types, which could collide with those of responses
_SCHEMAS = "#/components/schemas/"
_PARAMETERS: dict[str, dict[str, Any]] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": (
            "Names the request, so that sending it again stores nothing twice: 1 to 255 printable ASCII characters."
        ),
        "schema": {"type": "string", "pattern": "^[ -~]{1,255}$"},
        "example": "order-1042-attempt",
    },
    "ContentEncoding": {
        "name": "Content-Encoding",
        "in": "header",
        "description": "`gzip` where the body is compressed.",
        "schema": {"type": "string", "pattern": "^ *([Gg][Zz][Ii][Pp]|[Ii][Dd][Ee][Nn][Tt][Ii][Tt][Yy])? *$"},
    },
}


def record_schemas(table: Table) -> dict[str, Any]:
    """Return the JSON Schemas of the record's types, keyed by their names in the document."""
    _, definitions = _components(table)
    return {_SENT + name: schema for name, schema in definitions.items()}


def sent_parameters() -> dict[str, Any]:
    """Return the header parameters of a write, for `components.parameters`."""
    return _PARAMETERS


def request_body(operation_id: str, table: Table) -> dict[str, Any] | None:
    """Return the body of an operation, or None if it has none."""
    (record,), _ = _components(table)
    example = example_record(table)
    match operation_id:
        case "createRecords":
            return _records_body(record, example)
        case "putRecord":
            return {"required": True, "content": {"application/json": _with_example({"schema": record}, example)}}
        case "push":
            return {"required": True, "content": {"application/json": _push_message(example)}}
        case _:
            return None


def parameter_references() -> list[dict[str, str]]:
    """Return the references to the header parameters of a write."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS]


def _components(table: Table) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    schemas, definitions = msgspec.json.schema_components(
        (table.record_type,), ref_template=f"{_SCHEMAS}{_SENT}{{name}}"
    )
    return tuple(schemas), definitions


def _records_body(record: dict[str, Any], example: dict[str, Any] | None) -> dict[str, Any]:
    several = {"type": "array", "items": record, "minItems": 1}
    document: dict[str, Any] = {"schema": {"anyOf": [record, several]}}
    lines: dict[str, Any] = {"schema": {"type": "string", "description": "One record a line."}}
    if example is not None:
        document["examples"] = {
            "one": {"summary": "One record", "value": example},
            "several": {"summary": "Several records", "value": [example]},
        }
        lines["example"] = msgspec.json.encode(example).decode() + "\n"
    return {"required": True, "content": {"application/json": document, "application/x-ndjson": lines}}


def _push_message(example: dict[str, Any] | None) -> dict[str, Any]:
    """Return a wrapped push (https://cloud.google.com/pubsub/docs/push#receive_push)."""
    text = {"type": "string"}
    message = {
        "type": "object",
        "properties": {
            "data": {**text, "contentEncoding": "base64", "description": "The record, or several, in base64."},
            "attributes": {"type": ["object", "null"], "additionalProperties": text},
            "messageId": {**text, "minLength": 1, "maxLength": 128},
            "publishTime": {**text, "format": "date-time"},
            "orderingKey": {"type": ["string", "null"]},
        },
        "required": ["messageId", "publishTime"],
    }
    schema = {
        "type": "object",
        "description": (
            "A wrapped message. An unwrapped one has its data as the body, of any content type, and the rest in "
            "`x-goog-pubsub-*` headers."
        ),
        "properties": {"message": message, "subscription": {"type": ["string", "null"]}},
        "required": ["message"],
    }
    data = base64.b64encode(msgspec.json.encode(example or {})).decode()
    value = {
        "message": {
            "data": data,
            "attributes": {"origin": "checkout"},
            "messageId": "9172635445566778",
            "publishTime": "2026-01-31T12:00:00.123Z",
        },
        "subscription": "projects/example/subscriptions/records",
    }
    return {"schema": schema, "example": value}


def _with_example(media_type: dict[str, Any], example: dict[str, Any] | None) -> dict[str, Any]:
    return media_type if example is None else {**media_type, "example": example}
