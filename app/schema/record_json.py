"""The JSON of a record as producers send it: its JSON Schema, and an example.

Neither has the rest, which the service fills; where a type has one, its schema is open instead. An example is made of
the examples and defaults that a type declares, else of plain values by type. People may send it as it is shown, so it
is verified first: like an incoming record, it passes through the type's own decoder and the storability checks.
"""

from typing import Any

import msgspec
from msgspec import inspect

from app.record import Versions
from app.schema.table import REJECTS, Table
from app.schema.undeclared_members import rest_field
from app.schema.values import compile_checks

_DEFS = "#/$defs/{name}"


def record_schema(record_type: type[msgspec.Struct], versions: Versions | None) -> dict[str, Any]:
    """Return the JSON Schema of a record; of all versions, newest first, if there are several."""
    types = (record_type,) if versions is None else tuple(reversed(versions.types))
    schemas, definitions = record_components(types, _DEFS)
    return {**(schemas[0] if versions is None else {"anyOf": schemas}), "$defs": definitions}


def record_components(
    types: tuple[type[msgspec.Struct], ...], ref_template: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the schemas of record types, references, and those of all classes by name; references as the template."""
    schemas, components = msgspec.json.schema_components(types, ref_template=ref_template)
    rests = {schema["$ref"]: _rest_name(each) for each, schema in zip(types, schemas, strict=True)}
    return [*schemas], {
        name: _open(each, rests.get(ref_template.format(name=name), "")) for name, each in components.items()
    }


def _rest_name(record_type: type[msgspec.Struct]) -> str:
    info = inspect.type_info(record_type)
    rest = rest_field(info) if isinstance(info, inspect.StructType) else None
    return rest.encode_name if rest else ""


def _open(schema: dict[str, Any], rest_name: str) -> dict[str, Any]:
    """Return the schema of a class without its rest, and open for other members; without a rest, as it is."""
    if not rest_name:
        return schema
    properties = {name: each for name, each in schema["properties"].items() if name != rest_name}
    return {**schema, "properties": properties, "additionalProperties": True}


# Of a record that arrived by Pub/Sub.
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
    """Return a record that the service would store, as JSON; None if the declaration says too little for one."""
    if table.name == REJECTS:
        return _REJECT
    example = draft_record(table)
    try:  # the type's own code may raise anything
        record = msgspec.json.decode(msgspec.json.encode(example), type=table.record_type)
        return example if compile_checks(table.record)(record) is None else None
    except Exception:
        return None


def draft_record(table: Table) -> dict[str, Any]:
    """Return a record as JSON, to be completed where `example_record` has none: it may break the type's constraints."""
    schema = record_schema(table.record_type, None)
    record: dict[str, Any] = _value(schema, schema["$defs"])
    if table.versions is not None and table.versions.member in record:
        newest = table.versions.names[-1]
        record[table.versions.member] = int(newest) if isinstance(record[table.versions.member], int) else newest
    return record


_BY_FORMAT: dict[str, Any] = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "partial-time": "12:00:00",
    "decimal": "12.5",
    "uuid": "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
}
_BY_TYPE: dict[str, Any] = {"boolean": True, "integer": 1, "number": 1.5, "string": "text", "null": None, "array": []}


def _value(schema: dict[str, Any], classes: dict[str, Any]) -> Any:  # noqa: PLR0911 - one for each form
    """Return a value of a JSON Schema, as msgspec makes it; members without a value of their own are left out."""
    match schema:
        case {"examples": [example, *_]} | {"default": example} | {"enum": [example, *_]}:
            return example
        case {"$ref": reference}:
            return _value(classes[reference.rpartition("/")[2]], classes)
        case {"anyOf": [*choices]}:
            return _value(next(each for each in choices if each != {"type": "null"}), classes)
        case {"properties": members}:
            return {name: _value(each, classes) for name, each in members.items()}
        case {"type": "array", "minItems": least}:
            return [_value(schema["items"], classes)] * least
        case {"type": "integer" | "number" as kind}:
            return max(_BY_TYPE[kind], schema.get("minimum", 1))
        case {"contentEncoding": _}:
            return "AAEC"
        case {"format": form}:
            return _BY_FORMAT.get(form, "text")
        case {"type": kind}:
            return _BY_TYPE.get(kind, {})
        case _:
            return {}


def example_row(table: Table) -> dict[str, Any]:
    """Return a row as it is served."""
    known = _ENVELOPE | (_REJECT if table.name == REJECTS else draft_record(table))
    return {column.name: known.get(column.name) for column in table.columns}
