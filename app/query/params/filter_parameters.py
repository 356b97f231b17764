"""The filters of a record type as documented parameters: one per field and operator."""

from collections.abc import Mapping
from typing import Any

from app.http.contract import Parameter
from app.query.params.values import TIME_PATTERN
from app.schema.columns import INT64_MAX, INT64_MIN, Kind
from app.schema.filters import FilterField

_MAX_LENGTH = 4_096
_MEANINGS: dict[str, str] = {
    "eq": "`{path}` equals the value",
    "ne": "`{path}` does not equal the value",
    "lt": "`{path}` is less than the value",
    "lte": "`{path}` is less than or equal to the value",
    "gt": "`{path}` is greater than the value",
    "gte": "`{path}` is greater than or equal to the value",
    "in": "`{path}` is one of the values, separated by commas (in double quotes if they contain one)",
    "prefix": "`{path}` begins with the text",
    "isnull": "`{path}` has no value (`true`) or has one (`false`)",
}
_TEXT: dict[str, Any] = {"type": "string", "maxLength": _MAX_LENGTH}
# By kind: the JSON Schema of a value, and an example.
_VALUES: dict[Kind, tuple[dict[str, Any], str]] = {
    Kind.BOOL: ({"type": "boolean"}, "true"),
    Kind.INT64: ({"type": "integer", "minimum": INT64_MIN, "maximum": INT64_MAX}, "42"),
    Kind.FLOAT64: ({"type": "number"}, "1.5"),
    Kind.NUMERIC: ({"type": "number"}, "12.5"),
    Kind.STRING: (_TEXT, "text"),
    Kind.BYTES: ({**_TEXT, "contentEncoding": "base64"}, "aGVsbG8="),
    Kind.TIMESTAMP: ({"type": "string", "format": "date-time"}, "2026-01-31T12:00:00Z"),
    Kind.DATE: ({"type": "string", "format": "date"}, "2026-01-31"),
    Kind.TIME: ({"type": "string", "pattern": f"^{TIME_PATTERN}$"}, "12:00:00"),
    Kind.JSON: (_TEXT, "text"),
}
_UUID: tuple[dict[str, Any], str] = ({"type": "string", "format": "uuid"}, "3f2504e0-4f89-11d3-9a0c-0305e82c3301")
_UUID_START: tuple[dict[str, Any], str] = ({"type": "string", "pattern": "^[0-9A-Fa-f-]{1,36}$"}, "3f2504e0")
_NUMBERS = {"lt", "lte", "gt", "gte"}  # on a JSON column these compare numbers, the others text


def filter_parameters(fields: Mapping[str, FilterField]) -> dict[str, Parameter]:
    """Return the parameters that filter by `fields`, `<path>` for equality and `<path>.<operator>` for the others.

    Those below a JSON column (`data.total.gt`) are only mentioned in its description: they are unbounded.
    """
    found = {}
    for path, field in fields.items():
        for operator in field.operators:
            name = path if operator == "eq" else f"{path}.{operator}"
            schema, example = _value(field, operator)
            found[name] = Parameter(_description(field, operator), example, schema)
    return found


def _description(field: FilterField, operator: str) -> str:
    told = f"Only records where {_MEANINGS[operator].format(path=field.path)}."
    if operator != "eq":
        return told
    others = ", ".join(f"`{field.path}.{other}`" for other in field.operators if other != "eq")
    below = ""
    if field.kind is Kind.JSON:
        below = f" Its members are compared by path, such as `{field.path}.a.b=text` or `{field.path}.a.gt=5`."
    return f"{told} Also: {others}.{below}"


def _value(field: FilterField, operator: str) -> tuple[dict[str, Any], str]:
    """Return the JSON Schema of a filter's value, and an example."""
    if operator == "isnull":
        return _VALUES[Kind.BOOL]
    if operator == "prefix":
        return _UUID_START if field.is_uuid else ({**_TEXT, "minLength": 1}, "te")
    kind = Kind.FLOAT64 if field.kind is Kind.JSON and operator in _NUMBERS else field.kind
    schema, example = _UUID if field.is_uuid else _VALUES[kind]
    return (_TEXT, example) if operator == "in" else (schema, example)
