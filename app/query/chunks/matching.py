"""The conditions of a query as a test of rows in Python; it means what the SQL of `app.stores.sql.conditions` means."""

from collections.abc import Callable, Sequence
from operator import ge, gt, le, lt
from typing import Any

import msgspec

from app.runtime.instants import epoch_us
from app.schema.columns import Kind
from app.stores.query import Condition
from app.stores.source import Row

_Get = Callable[[Row], Any]
Test = Callable[[Row], bool]
_ORDER: dict[str, Callable[[Any, Any], bool]] = {"lt": lt, "lte": le, "gt": gt, "gte": ge}
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_text = msgspec.json.Decoder(str)
_number = msgspec.json.Decoder(float)


def row_test(conditions: Sequence[Condition]) -> Test:
    """Return the test whether a row matches all `conditions`."""
    tests = [_test(each) for each in conditions]
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _test(condition: Condition) -> Test:  # noqa: PLR0911 - one for each operator
    get, values = _value(condition), condition.values
    value = values[0]
    match condition.operator:
        case "isnull":
            return lambda row: (get(row) is None) is value
        case "eq":
            return lambda row: get(row) == value
        case "ne":
            return lambda row: get(row) != value
        case "in":
            allowed = frozenset(values)
            return lambda row: get(row) in allowed
        case "prefix":
            return lambda row: (cell := get(row)) is not None and cell.startswith(value)
        case "outside":
            low, high = values
            return lambda row: (cell := get(row)) is not None and (cell < low or cell >= high)
        case order:
            compare = _ORDER[order]
            return lambda row: (cell := get(row)) is not None and compare(cell, value)


def _value(condition: Condition) -> _Get:
    """Return what the condition compares: None for no value."""
    column = _column(condition.path)
    match condition.kind:
        case Kind.TIMESTAMP if condition.operator != "isnull":
            return lambda row: None if (stamp := column(row)) is None else epoch_us(stamp)
        case Kind.JSON if condition.json_path or condition.operator != "isnull":
            scalar = _scalar_of(condition)
            return lambda row: scalar(column(row))
        case _:
            return column


def _column(path: str) -> _Get:
    first, *below = path.split(".")
    if not below:
        return lambda row: row[first]

    def get(row: Row) -> Any:
        value = row[first]
        for name in below:
            value = None if value is None else value[name]
        return value

    return get


def _scalar_of(condition: Condition) -> Callable[[msgspec.Raw | None], Any]:
    """Return what makes a comparable value of JSON: a number, a text, or the text of any scalar."""
    keys, wants_number = condition.json_path, isinstance(condition.values[0], float)
    wants_text = condition.operator == "prefix"

    def scalar(value: msgspec.Raw | None) -> Any:
        member = None if value is None else _below(value, keys)
        if member is None:
            return None
        text = bytes(member).strip()
        if wants_number:
            return _number.decode(text) if text[:1] in _DIGITS else None
        if text[:1] == b'"':
            return _text.decode(text)
        return None if wants_text or text == b"null" or text[:1] in {b"{", b"["} else text.decode()

    return scalar


_DIGITS = frozenset(bytes([code]) for code in b"-0123456789")


def _below(value: msgspec.Raw, keys: Sequence[str]) -> msgspec.Raw | None:
    """Return the JSON at a path; digits are the index of a list item, as in SQL."""
    member: msgspec.Raw | None = value
    for key in keys:
        if member is None:
            break
        begin = bytes(member).lstrip()[:1]
        if key.isascii() and key.isdecimal():
            items = _items.decode(member) if begin == b"[" else []
            member = items[int(key)] if int(key) < len(items) else None
        else:
            member = _members.decode(member).get(key) if begin == b"{" else None
    return member
