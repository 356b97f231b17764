"""Parse filters, `<field>=v` and `<field>.<operator>=v`, into conditions on columns or helpful errors."""

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping

from app.query.params.values import ValueTextError, read_value
from app.schema.columns import Kind
from app.schema.filters import OPERATORS, FilterField
from app.stores.query import Condition, Scalar

MAX_VALUES = 100
_MAX_TEXT_LENGTH = 4_096
_MAX_DEPTH = 10  # of a path into JSON
_MAX_PLACE_DIGITS = 9
# A member of a JSON object, or digits for a list index. Members with other names cannot be filtered by.
_KEY = re.compile(r"[\w@:/ -]{1,100}")
_UUID_START = re.compile("[0-9A-Fa-f-]{1,36}")
_NUMBERS = {"lt", "lte", "gt", "gte"}  # on JSON these compare numbers, the others text


class FilterError(ValueError):
    """A filter is invalid; the message says why, and `example` is a valid one."""

    def __init__(self, message: str, example: str | None = None) -> None:
        super().__init__(message)
        self.example = example


def parse_filters(fields: Mapping[str, FilterField], pairs: Iterable[tuple[str, str]]) -> tuple[Condition, ...]:
    """Return the conditions for `pairs` of parameter names and texts.

    Raises:
        FilterError: one of them is none, or has no such value.
    """
    found = []
    for name, text in pairs:
        condition = parse_filter(fields, name, text)
        if condition is None:
            raise FilterError(f"{name}: there is no such field to filter by; there are {', '.join(filterable(fields))}")
        found.append(condition)
    return in_order(found)


def parse_filter(fields: Mapping[str, FilterField], name: str, text: str) -> Condition | None:
    """Return the condition of one parameter; None if its name does not begin with a field's path.

    Raises:
        FilterError: the field has no such operator, or no such value.
    """
    path = _field_of(fields, name)
    if path is None:
        return None
    field = fields[path]
    rest = name[len(path) + 1 :].split(".") if len(name) > len(path) else []
    operator = rest.pop() if rest and rest[-1] in OPERATORS else "eq"
    if not field.operators:
        raise FilterError(f"{path} cannot be filtered by; {', '.join(filterable(fields))} can")
    if rest and field.kind is not Kind.JSON:
        raise FilterError(f"{path} has the operators {', '.join(field.operators)}, not {rest[0]!r}", path)
    if operator not in field.operators:
        raise FilterError(f"{path} has no operator {operator}; it has {', '.join(field.operators)}")
    _check_keys(rest)
    try:
        values = _values(field, operator, text)
    except ValueTextError as error:
        raise FilterError(str(error), error.example) from None
    return Condition(path, tuple(rest), operator, field.kind, values)


def fingerprint(conditions: Iterable[Condition], mark: str = "") -> str:
    """Return a short text that identifies conditions, in any order, and a `mark`; "" for none."""
    ordered = in_order(conditions)
    if not ordered and not mark:
        return ""
    told = repr([(each.path, each.json_path, each.operator, each.values) for each in ordered]) + mark
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def in_order(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return conditions in canonical order, so that equal sets are equal tuples."""
    return tuple(sorted(conditions, key=lambda each: (each.path, each.json_path, each.operator, repr(each.values))))


def filterable(fields: Mapping[str, FilterField]) -> list[str]:
    """Return the paths of the fields that have operators."""
    return [path for path, field in fields.items() if field.operators]


def _field_of(fields: Mapping[str, FilterField], name: str) -> str | None:
    """Return the longest field path that is a prefix of `name`."""
    # Iterate over the fields, not over the parts of the name: a caller may send tens of thousands of parts.
    return max((path for path in fields if name == path or name.startswith(f"{path}.")), key=len, default=None)


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
    if operator == "isnull":
        return (read_value(Kind.BOOL, text),)
    if operator == "prefix" and not text:
        raise FilterError("expected at least one character", "a")
    if operator != "in":
        return (_value(field, operator, text),)
    texts = _listed(text)
    if len(texts) > MAX_VALUES:
        raise FilterError(f"expected at most {MAX_VALUES} values")
    return tuple(dict.fromkeys(_value(field, operator, each) for each in texts))


def _value(field: FilterField, operator: str, text: str) -> Scalar:
    if field.is_uuid and operator == "prefix":
        return _uuid_start(text)
    kind = Kind.FLOAT64 if field.kind is Kind.JSON and operator in _NUMBERS else field.kind
    return read_value(kind, text, is_uuid=field.is_uuid)


def _uuid_start(text: str) -> str:
    """Return the beginning of a UUID as it is stored: in lower case."""
    if not _UUID_START.fullmatch(text):
        raise FilterError("expected the beginning of a UUID: hexadecimal digits and its hyphens", "3f2504e0")
    return text.lower()


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
