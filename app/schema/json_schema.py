"""The JSON Schema of a record as producers send it: without its rest, which the service fills, and open instead."""

from typing import Any

import msgspec
from msgspec import inspect

from app.schema.undeclared_members import rest_field

_DEFS = "#/$defs/{name}"


def record_schema(record_type: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema of a record type."""
    schema, definitions = record_components(record_type, _DEFS)
    return {**schema, "$defs": definitions}


def record_components(record_type: type[msgspec.Struct], ref_template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of a record type, a reference, and those of all classes by name; references as the template."""
    (schema,), found = msgspec.json.schema_components((record_type,), ref_template=ref_template)
    info = inspect.type_info(record_type)
    rest = rest_field(info) if isinstance(info, inspect.StructType) else None
    if rest is None:
        return schema, found
    return schema, {
        name: _open(each, rest.encode_name) if ref_template.format(name=name) == schema["$ref"] else each
        for name, each in found.items()
    }


def _open(schema: dict[str, Any], rest_name: str) -> dict[str, Any]:
    properties = {name: each for name, each in schema["properties"].items() if name != rest_name}
    return {**schema, "properties": properties, "additionalProperties": True}
