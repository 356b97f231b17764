"""Parse filters, `<field>=v` and `<field>.<operator>=v`, into conditions or helpful errors; and document them."""

import binascii
import csv
import hashlib
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation
from math import inf, isfinite
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from app.http.contract import Parameter
from app.runtime.instants import InstantError, parse_instant
from app.schema.columns import INT64_MAX, INT64_MIN, Kind
from app.schema.filters import OPERATORS, FilterField, HashedField, filter_table
from app.schema.values import numeric_problem
from app.stores.query import Condition, Scalar
from app.streams import Streams

MAX_VALUES = 100
_MAX_TEXT_LENGTH = 4_096
_MAX_DEPTH = 10  # of a path into JSON
_MAX_PLACE_DIGITS = 9
# A member of a JSON object, or digits for a list index. Members with other names cannot be filtered by.
_KEY = re.compile(r"[\w@:/ -]{1,100}")
_NUMBERS = {"lt", "lte", "gt", "gte"}  # on JSON these compare numbers, the others text
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
# Python's own parsers accept more spellings: white space, `_` between digits, 20260131, digits of other scripts.
_TIME_PATTERN = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
_TIME = re.compile(_TIME_PATTERN)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_Value = TypeVar("_Value", date, time, UUID)


class FilterError(ValueError):
    """A filter is invalid; the message says why, and `example` is a valid value."""

    def __init__(self, message: str, example: str | None = None) -> None:
        super().__init__(message)
        self.example = example


class _Form(NamedTuple):
    """How a value is written: its parser, what that expects, the JSON Schema and an example."""

    read: Callable[[str], Scalar]
    expected: str
    schema: dict[str, Any]
    example: str


def _bool(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError
    return text == "true"


def _integer(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 40):
        raise ValueError
    number = int(text)
    if not INT64_MIN <= number <= INT64_MAX:
        raise ValueError
    return number


def read_number(text: str) -> float:
    """Return the number in `text`, in JSON's notation.

    Raises:
        ValueError: it is none, or too large.
    """
    number = float(text) if _NUMBER.fullmatch(text) else inf
    if not isfinite(number):
        raise ValueError
    return number


def _numeric(text: str) -> Decimal:
    if len(text) > 60 or not _NUMBER.fullmatch(text):
        raise ValueError
    number = Decimal(text)
    if numeric_problem(number) is not None:
        raise ValueError
    return number


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


def _instant(text: str) -> int:
    if text == "now" or "P" in text.upper():
        raise InstantError("expected an instant (RFC 3339 with an offset); only since and until may be relative to now")
    return parse_instant(text, 0)


def _date(text: str) -> date:
    return _as_in_a_record(text, date)


def _time(text: str) -> time:
    if not _TIME.fullmatch(text):
        raise ValueError
    return _as_in_a_record(text, time)


def _as_in_a_record(text: str, type_: type[_Value]) -> _Value:
    try:
        return msgspec.convert(text, type_)
    except msgspec.ValidationError as error:
        raise ValueError from error


_TEXT: dict[str, Any] = {"type": "string", "maxLength": _MAX_TEXT_LENGTH}
_FORMS: dict[Kind, _Form] = {
    Kind.BOOL: _Form(_bool, "true or false", {"type": "boolean"}, "true"),
    Kind.INT64: _Form(
        _integer, "a whole number of 64 bits", {"type": "integer", "minimum": INT64_MIN, "maximum": INT64_MAX}, "42"
    ),
    Kind.FLOAT64: _Form(read_number, "a number", {"type": "number"}, "1.5"),
    Kind.NUMERIC: _Form(
        _numeric,
        "a decimal number with at most 29 digits before the point and 9 after it",
        {"type": "number"},
        "12.5",
    ),
    Kind.STRING: _Form(str, "a text", _TEXT, "text"),
    Kind.BYTES: _Form(_bytes, "base64", {**_TEXT, "contentEncoding": "base64"}, "aGVsbG8="),
    Kind.TIMESTAMP: _Form(_instant, "an instant", {"type": "string", "format": "date-time"}, "2026-01-31T12:00:00Z"),
    Kind.DATE: _Form(
        lambda text: _as_in_a_record(text, date),
        "a date (year, month and day)",
        {"type": "string", "format": "date"},
        "2026-01-31",
    ),
    Kind.TIME: _Form(
        _time,
        "a time of day without an offset",
        {"type": "string", "pattern": f"^{_TIME_PATTERN}$"},
        "12:00:00",
    ),
    Kind.JSON: _Form(str, "a text", _TEXT, "text"),
}
_UUID = _Form(
    lambda text: str(_as_in_a_record(text, UUID)),
    "a UUID",
    {"type": "string", "format": "uuid"},
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
)


def _start(text: str) -> str:
    if not text:
        raise ValueError
    return text


_BEGINNING = _Form(_start, "at least one character", {**_TEXT, "minLength": 1}, "te")
_UUID_BEGINNING = _BEGINNING._replace(read=lambda text: _start(text).lower())  # as it is stored


def _form(field: FilterField, operator: str) -> _Form:
    """Return how one value of a filter is written."""
    if operator == "isnull":
        return _FORMS[Kind.BOOL]
    if operator == "prefix":
        return _UUID_BEGINNING if field.is_uuid else _BEGINNING
    if field.is_uuid:
        return _UUID
    return _FORMS[Kind.FLOAT64 if field.kind is Kind.JSON and operator in _NUMBERS else field.kind]


def filter_check(streams: Streams) -> Callable[[str, Sequence[tuple[str, str]]], object]:
    """Return the check of a grant's fixed filters: of a stream, and of the filters as pairs.

    It raises FilterError with the reason.
    """
    fields = {name: filter_table(stream.table) for name, stream in streams.by_name.items()}
    return lambda stream, pairs: parse_filters(fields[stream], pairs)


def parse_filters(fields: Mapping[str, FilterField], pairs: Iterable[tuple[str, str]]) -> tuple[Condition, ...]:
    """Return the conditions for `pairs` of parameter names and texts.

    Raises:
        FilterError: one of them is none, or has no such value.
    """
    conditions = []
    for name, text in pairs:
        condition = parse_filter(fields, name, text)
        if condition is None:
            known = ", ".join(filterable(fields))
            raise FilterError(f"{name}: there is no such field with the role `filter`; there are {known}")
        conditions.append(condition)
    return in_order(conditions)


def parse_filter(fields: Mapping[str, FilterField], name: str, text: str) -> Condition | None:
    """Return the condition of one parameter; None if its name does not begin with a field's path.

    Raises:
        FilterError: the field has no such operator, or no such value.
    """
    # Iterate over the fields, not over the parts of the name: a caller may send tens of thousands of parts.
    paths = (path for path in fields if name == path or name.startswith(f"{path}."))
    path = max(paths, key=len, default=None)
    if path is None or not fields[path].operators:
        return None
    field = fields[path]
    rest = name[len(path) + 1 :].split(".") if len(name) > len(path) else []
    operator = rest.pop() if rest and rest[-1] in OPERATORS else "eq"
    if rest and field.kind is not Kind.JSON:
        raise FilterError(f"{path} has the operators {', '.join(field.operators)}, not {rest[0]!r}", path)
    if operator not in field.operators:
        raise FilterError(f"{path} has no operator {operator}; it has {', '.join(field.operators)}")
    _check_keys(rest)
    return Condition(path, tuple(rest), operator, field.kind, _values(field, operator, text))


def fingerprint(conditions: Iterable[Condition], mark: str = "") -> str:
    """Return a short text that identifies conditions, in any order, and a `mark`; "" for none."""
    ordered = in_order(conditions)
    if not ordered and not mark:
        return ""
    text = repr([(each.path, each.json_path, each.operator, each.values) for each in ordered]) + mark
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def in_order(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return conditions in canonical order, so that equal sets are equal tuples."""
    return tuple(sorted(conditions, key=lambda each: (each.path, each.json_path, each.operator, repr(each.values))))


def filterable(fields: Mapping[str, FilterField]) -> list[str]:
    """Return the paths of the fields that have operators."""
    return [path for path, field in fields.items() if field.operators]


def _check_keys(keys: list[str]) -> None:
    if len(keys) > _MAX_DEPTH:
        raise FilterError(f"the path is deeper than {_MAX_DEPTH} members")
    for key in keys:
        is_place = key.isascii() and key.isdecimal()
        if not _KEY.fullmatch(key) or (is_place and len(key) > _MAX_PLACE_DIGITS):
            raise FilterError(f"{key[:100]!r} is not the name of a member or the position of a list item")


def _values(field: FilterField, operator: str, text: str) -> tuple[Scalar, ...]:
    if len(text) > _MAX_TEXT_LENGTH:
        raise FilterError(f"the value is longer than {_MAX_TEXT_LENGTH} characters")
    texts = _listed(text) if operator == "in" else [text]
    if len(texts) > MAX_VALUES:
        raise FilterError(f"expected at most {MAX_VALUES} values")
    form = _form(field, operator)
    if isinstance(field, HashedField) and operator != "isnull":
        return tuple(dict.fromkeys(map(field.hasher, texts)))
    try:
        return tuple(dict.fromkeys(map(form.read, texts)))
    except (ValueError, InvalidOperation) as error:
        expected = str(error) if isinstance(error, InstantError) else f"expected {form.expected}"
        raise FilterError(expected, form.example) from None


def _listed(text: str) -> list[str]:
    """Return the values of a list; one with a comma is double-quoted, as in CSV."""
    wrong = FilterError('expected values separated by commas, with "quotes" around a value that contains one', "a,b")
    if text.endswith(("\r", "\n")):  # CSV would read it as a line end, not as part of a value
        raise wrong
    try:
        (values,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise wrong from None
    return values or [""]  # an empty line is one empty value here, too


def filter_parameters(fields: Mapping[str, FilterField]) -> dict[str, Parameter]:
    """Return the parameters that filter by `fields`, `<path>` for equality and `<path>.<operator>` for the others.

    Those below a JSON column (`data.total.gt`) are only mentioned in its description: they are unbounded.
    """
    parameters = {}
    for path, field in fields.items():
        for operator in field.operators:
            form = _form(field, operator)
            schema = _TEXT if operator == "in" else form.schema
            name = path if operator == "eq" else f"{path}.{operator}"
            parameters[name] = Parameter(_parameter_text(field, operator), form.example, schema)
    return parameters


def _parameter_text(field: FilterField, operator: str) -> str:
    sentence = f"Only records where {_MEANINGS[operator].format(path=field.path)}."
    if operator != "eq":
        return sentence
    others = ", ".join(f"`{field.path}.{other}`" for other in field.operators if other != "eq")
    below = ""
    if field.kind is Kind.JSON:
        below = f" Its members are compared by path, such as `{field.path}.a.b=text` or `{field.path}.a.gt=5`."
    return f"{sentence} Also: {others}.{below}"
