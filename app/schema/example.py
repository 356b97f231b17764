"""An example of a record, made of what its type says: the declared examples first, else the plainest value."""

from typing import Any

import msgspec

from app.schema.columns import Column, Kind, Mode
from app.schema.table import REJECTS, Table

_BY_FORMAT = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "partial-time": "12:00:00",
    "uuid": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "decimal": "12.50",
}
_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}
# Of a record that came by Pub/Sub; `_BY_KIND` serves what is not named here.
_ENVELOPE: dict[str, Any] = {
    "subscription_name": "projects/example/subscriptions/records",
    "message_id": "9172635445566778",
    "publish_time": "2026-01-31T12:00:00.123Z",
    "attributes": {"origin": "checkout"},
    "ordering_key": None,
    "message_index": 0,
    "delivery_key": "9172635445566778-1769860800123000:0",
    "ingest_time": "2026-01-31T12:00:00.456789Z",
    "trace_id": None,
}

_REJECT: dict[str, Any] = {
    "reason": "invalid",
    "detail": "Expected `str`, got `int` - at `$.source`",
    "field": "source",
    "payload": "eyJpZCI6ICJvcmRlci0xMDQyIiwgInRpbWVzdGFtcCI6ICIyMDI2LTAxLTMxVDEyOjAwOjAwWiIsICJzb3VyY2UiOiA3fQ==",
    "part": 0,
    "parts": 1,
}


def example_record(table: Table) -> dict[str, Any] | None:
    """Return a record as a producer may send it, as JSON; None where the type's constraints allow no guess."""
    if table.name == REJECTS:
        return _REJECT
    (schema,), definitions = msgspec.json.schema_components((table.record_type,), ref_template="{name}")
    try:
        example = _example(schema, definitions)
        msgspec.convert(example, table.record_type)
    except (msgspec.ValidationError, _NoGuessError):
        return None
    return dict(example)


def example_row(columns: tuple[Column, ...], record: dict[str, Any] | None) -> dict[str, Any]:
    """Return a row of `columns` as it is served, with the values of `record` where it has them."""
    known = _ENVELOPE | (record or {})
    return {
        column.name: known[column.name] if column.name in known else _plain(column, missing=record is not None)
        for column in columns
    }


class _NoGuessError(Exception):
    """The schema says too little to make a value of."""


def _example(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return _example(definitions[schema["$ref"]], definitions)
    stated = _stated(schema)
    if stated:
        return stated[0]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0], definitions)
    match schema.get("type"):
        case "object":
            return {name: _example(inner, definitions) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema["items"], definitions)] if schema.get("minItems") else []
        case _:
            return _scalar(schema)


def _stated(schema: dict[str, Any]) -> list[Any]:
    """Return values that the schema itself names, the best first."""
    alone = [schema[word] for word in ("const", "default") if word in schema]
    return [*schema.get("examples", []), *schema.get("enum", []), *alone]


def _scalar(schema: dict[str, Any]) -> Any:
    if schema.get("contentEncoding") == "base64":
        return "AAEC"
    if schema.get("format") in _BY_FORMAT:
        return _BY_FORMAT[schema["format"]]
    if "type" not in schema:
        return {}
    if schema["type"] not in _BY_TYPE:
        raise _NoGuessError
    return schema.get("minimum", _BY_TYPE[schema["type"]])


_BY_KIND: dict[Kind, Any] = {
    Kind.BOOL: True,
    Kind.INT64: 1,
    Kind.FLOAT64: 1.5,
    Kind.NUMERIC: "12.5",
    Kind.STRING: "text",
    Kind.BYTES: "AAEC",
    Kind.TIMESTAMP: _BY_FORMAT["date-time"],
    Kind.DATE: _BY_FORMAT["date"],
    Kind.TIME: _BY_FORMAT["partial-time"],
    Kind.JSON: {},
}


def _plain(column: Column, *, missing: bool) -> Any:
    """Return a value of the column's type; null where the record left it out and it may be null."""
    if column.mode is Mode.REPEATED:
        return []
    if missing and column.mode is Mode.NULLABLE:
        return None
    if column.kind is Kind.STRUCT:
        return {field.name: _plain(field, missing=missing) for field in column.fields}
    return _BY_KIND[column.kind]
