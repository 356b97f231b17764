"""An example of a record: the examples that its type declares, else the simplest values that satisfy it.

People may send an example as it is shown, so it is verified first: like an incoming record, it passes through the
type's own decoder and the storability checks.
"""

import base64
import math
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from app.schema.columns import MAX_DEPTH, Column, Kind, Mode, Role
from app.schema.table import REJECTS, Table
from app.schema.values import compile_checks

# For a record that arrived by Pub/Sub; `_BY_KIND` covers columns not named here.
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
    """Return a record that the service would store, as JSON; None if none can be derived from the declaration."""
    if table.name == REJECTS:
        return _REJECT
    for is_declared in (True, False):  # False: without the declared examples and defaults, if those are invalid
        try:
            example = plain_value(msgspec.inspect.type_info(table.record_type), is_declared=is_declared)
        except NoValueError:
            return None
        if table.versions is not None and table.versions.member in example:
            name = table.versions.names[-1]
            kinds = {column.name: column.kind for column in table.record}
            example[table.versions.member] = int(name) if kinds[table.versions.member] is Kind.INT64 else name
        if _is_storable(example, table):
            return _as_sent(example, table)
    return None


def template_record(table: Table) -> dict[str, Any]:
    """Return a template of a record, for when `example_record` has none: `<...>` is a value to fill in."""
    return _as_sent(template_value(msgspec.inspect.type_info(table.record_type)), table)


def _as_sent(record: dict[str, Any], table: Table) -> dict[str, Any]:
    """Return a record without its rest, which the service fills."""
    return {name: value for name, value in record.items() if table.rest is None or name != table.rest.name}


def _is_storable(example: Any, table: Table) -> bool:
    """Return whether the record would be stored; the type's own code may raise anything."""
    try:
        record = msgspec.json.decode(msgspec.json.encode(example), type=table.record_type)
        return compile_checks(table.record)(record) is None
    except Exception:
        return False


def example_row(columns: tuple[Column, ...], record: dict[str, Any] | None) -> dict[str, Any]:
    """Return a row of `columns` as it is served, with the values of `record` if it has them."""
    known = _ENVELOPE | (record or {})
    return {
        column.name: known[column.name] if column.name in known else _plain(column, missing=record is not None)
        for column in columns
    }


_BY_KIND: dict[Kind, Any] = {
    Kind.BOOL: True,
    Kind.INT64: 1,
    Kind.FLOAT64: 1.5,
    Kind.NUMERIC: "12.5",
    Kind.STRING: "text",
    Kind.BYTES: "AAEC",
    Kind.TIMESTAMP: "2026-01-31T12:00:00Z",
    Kind.DATE: "2026-01-31",
    Kind.TIME: "12:00:00",
    Kind.JSON: {},
}


def _plain(column: Column, *, missing: bool) -> Any:
    """Return a value of the column's type; null if the record omits it and it may be null."""
    if column.mode is Mode.REPEATED:
        return []
    if missing and column.mode is Mode.NULLABLE:
        return None
    if column.kind is Kind.STRUCT:
        return {field.name: _plain(field, missing=missing) for field in column.fields}
    return _BY_KIND[column.kind]


_SCALARS: dict[type[inspect.Type], Any] = {
    inspect.BoolType: True,
    inspect.DecimalType: "12.50",
    inspect.UUIDType: "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    inspect.DateTimeType: "2026-01-31T12:00:00Z",
    inspect.DateType: "2026-01-31",
    inspect.TimeDeltaType: "PT90S",
    inspect.NoneType: None,
    inspect.AnyType: {},
}
_Plain = TypeVar("_Plain", str, bytes)


class NoValueError(Exception):
    """The declaration says too little to derive a value."""


def plain_value(info: inspect.Type, *, is_declared: bool = True) -> Any:
    """Return a value of a type, as JSON; with `is_declared`, prefer declared examples and defaults.

    Raises:
        NoValueError: none can be derived.
    """
    return _Values(is_declared=is_declared).of(info)


def template_value(info: inspect.Type) -> Any:
    """Return a value of a type, as JSON, with a description `<...>` for each part that cannot be derived."""
    return _Template(is_declared=True).of(info)


class _Values:
    def __init__(self, *, is_declared: bool) -> None:
        self._is_declared = is_declared

    def of(self, info: inspect.Type, depth: int = 0, *, is_id: bool = False) -> Any:
        """Return a value of a type at nesting depth `depth`."""
        if depth > 4 * MAX_DEPTH:  # a recursive class in a JSON column
            raise NoValueError
        match info:
            case inspect.Metadata():
                value = self._of_metadata(info, depth, is_id=is_id)
            case inspect.UnionType():
                first = next(each for each in info.types if not isinstance(each, inspect.NoneType))
                value = self.of(first, depth + 1, is_id=is_id)
            case inspect.EnumType() | inspect.LiteralType():
                value = _member(info)
            case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
                value = self._of_fields(info.fields, depth)
            case inspect.NamedTupleType():
                value = list(self._of_fields(info.fields, depth).values())
            case inspect.DictType():
                value = self._of_dict(info, depth)
            case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
                value = [self.of(info.item_type, depth + 1) for _ in range(info.min_length or 0)]
            case inspect.TupleType():
                value = [self.of(each, depth + 1) for each in info.item_types]
            case _:
                value = self.of_scalar(info, is_id=is_id)
        return value

    def of_scalar(self, info: inspect.Type, *, is_id: bool) -> Any:
        """Return a value of a type that contains no other types."""
        match info:
            case inspect.StrType():
                return _text(info, "example-1" if is_id else "text")
            case inspect.IntType() | inspect.FloatType():
                return _number(info)
            case inspect.BytesType():
                return base64.b64encode(_length(info, bytes(range(3)))).decode()
            case inspect.TimeType():
                return "12:00:00Z" if info.tz else "12:00:00"
            case _ if type(info) in _SCALARS:
                return _SCALARS[type(info)]
            case _:
                raise NoValueError

    def _of_metadata(self, info: inspect.Metadata, depth: int, *, is_id: bool) -> Any:
        examples = (info.extra_json_schema or {}).get("examples")
        if examples and self._is_declared:
            return examples[0]
        is_id = is_id or Role.ID.value in (info.extra or {}).get("sluice", ())
        return self.of(info.type, depth, is_id=is_id)

    def _of_fields(self, fields: tuple[inspect.Field, ...], depth: int) -> dict[str, Any]:
        return {field.encode_name: self._of_field(field, depth) for field in fields}

    def _of_field(self, field: inspect.Field, depth: int) -> Any:
        example = _declared_example(field.type) if self._is_declared else None
        if example is None and not field.required:
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            if self._is_declared:
                return msgspec.to_builtins(default, str_keys=True)
            if default is None and _is_optional(field.type):
                return None
        return self.of(field.type, depth + 1)

    def _of_dict(self, info: inspect.DictType, depth: int) -> dict[str, Any]:
        least = info.min_length or 0
        key = str(self.of(info.key_type, depth + 1)) if least else ""
        return {f"{key}{number or ''}": self.of(info.value_type, depth + 1) for number in range(least)}


class _Template(_Values):
    def of_scalar(self, info: inspect.Type, *, is_id: bool) -> Any:
        """Return a value, or a description of it."""
        try:
            return super().of_scalar(info, is_id=is_id)
        except NoValueError:
            pattern = getattr(info, "pattern", None)
            return f"<a text that matches {pattern}>" if pattern else "<a value>"


def _is_optional(info: inspect.Type) -> bool:
    while isinstance(info, inspect.Metadata):
        info = info.type
    return isinstance(info, inspect.UnionType) and info.includes_none


def _declared_example(info: inspect.Type) -> Any:
    while isinstance(info, inspect.Metadata):
        if examples := (info.extra_json_schema or {}).get("examples"):
            return examples[0]
        info = info.type
    return _member(info) if isinstance(info, inspect.EnumType | inspect.LiteralType) else None


def _member(info: inspect.EnumType | inspect.LiteralType) -> Any:
    return info.values[0] if isinstance(info, inspect.LiteralType) else next(iter(info.cls)).value


def _text(info: inspect.StrType, plain: str) -> str:
    if info.pattern is not None:
        raise NoValueError
    return _length(info, plain)


def _length(info: inspect.StrType | inspect.BytesType, plain: _Plain) -> _Plain:
    """Return `plain`, repeated or cut to the allowed length."""
    least = info.min_length or 0
    repeated = plain * max(1, math.ceil(least / len(plain)))
    most = max(least, len(plain))
    return repeated[: most if info.max_length is None else min(most, info.max_length)]


def _number(info: inspect.IntType | inspect.FloatType) -> float:
    """Return 1 (1.5 for floats), or the nearest value within the bounds, on the side with room."""
    is_whole = isinstance(info, inspect.IntType)
    step = info.multiple_of or (1 if is_whole else 0)
    low = max((each for each in (info.ge, info.gt) if each is not None), default=-math.inf)
    high = min((each for each in (info.le, info.lt) if each is not None), default=math.inf)
    value = min(max(1 if is_whole else 1.5, low), high)
    if step:
        value = -(-value // step) * step  # upwards; `//` is exact for integers of any size
        if value > high or value == info.lt:
            value = high // step * step
    if value in {info.gt, info.lt}:
        away = step or (high - low) / 2
        away = 1 if math.isinf(away) else away
        value = value + away if value == info.gt else value - away
    return value
