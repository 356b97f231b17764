"""The JSON Schema of a record as producers send it: without its rest, which the service fills, and open instead."""

from typing import Any

import msgspec
from msgspec import inspect

from app.record import Versions
from app.schema.undeclared_members import rest_field

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
