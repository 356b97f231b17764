"""The rest of a record: the members that its type does not declare, in the places where they were sent. Pure.

A rest has the shape of its record. An undeclared member of a nested Struct is below the name of that field. One of an
item of a list is at the item's position, after an empty object for each earlier item that has none:

    sent   {"id": "1", "colour": "red", "leg": {"to": "AMS", "gate": "D5"}, "stops": [{"at": "CDG"}, {"x": 1}]}
    rest   {"colour": "red", "leg": {"gate": "D5"}, "stops": [{}, {"x": 1}]}

So a path in a rest is the path in the record, two members never share one, and `merge` restores the record as sent
(docs/decisions/0005-what-a-type-may-say.md).
"""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from app.schema.columns import Column, Kind, Mode

Members = dict[str, Any]
"""A JSON object."""
Path = tuple[str | int, ...]
"""The names of members and positions in lists that lead to a value."""


class MergeConflictError(ValueError):
    """Two objects have different values in one place, whose path the message names."""


def split(members: Mapping[str, Any], columns: tuple[Column, ...]) -> tuple[Members, Members]:
    """Split a JSON object into what `columns` declare, and the rest.

    It also takes values out of a rest: those of columns that were declared later, or that a table did not have yet.
    `merge` of the two parts is `members` again.
    """
    by_name = {column.name: column for column in columns}
    declared: Members = {}
    rest: Members = {}
    for name, value in members.items():
        column = by_name.get(name)
        if column is None:
            rest[name] = value
            continue
        declared[name], below = _split_value(value, column)
        if below:
            rest[name] = below
    return declared, rest


def _split_value(value: Any, column: Column) -> tuple[Any, Any]:
    """Return the declared part of a column's value, and its rest; the latter is empty if there is none."""
    if column.kind is not Kind.STRUCT:
        return value, None
    if column.mode is Mode.REPEATED and isinstance(value, list):
        parts = [_split_object(item, column) for item in value]
        return [declared for declared, _ in parts], _without_trailing([rest for _, rest in parts])
    return _split_object(value, column)


def _split_object(value: Any, column: Column) -> tuple[Any, Members]:
    return split(value, column.fields) if isinstance(value, dict) else (value, {})


def _without_trailing(rests: list[Members]) -> list[Members]:
    """Return the rests of a list's items, up to the last one that has members."""
    length = max((position for position, rest in enumerate(rests, 1) if rest), default=0)
    return rests[:length]


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> Members:
    """Return the members of two JSON objects in one: objects by name and lists by position, at every depth.

    With a record and its rest, it returns the record as it was sent. With a rest and the values of columns that the
    table lacks, it returns a rest that holds both.

    Raises:
        MergeConflictError: both have a value in one place, and not the same; nothing is overwritten.
    """
    return {name: _merged(value, (name,)) for name, value in _pairs(first, second)}


_ABSENT: Any = object()


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in {**first, **second}:
        yield name, (first.get(name, _ABSENT), second.get(name, _ABSENT))


def _merged(values: tuple[Any, Any], path: Path) -> Any:
    match values:
        case (one, other) if one is _ABSENT or other is _ABSENT:
            return other if one is _ABSENT else one
        case (dict() as one, dict() as other):
            return {name: _merged(pair, (*path, name)) for name, pair in _pairs(one, other)}
        case (list() as one, list() as other):
            pairs = zip_longest(one, other, fillvalue=_ABSENT)
            return [_merged(pair, (*path, position)) for position, pair in enumerate(pairs)]
        case (one, other) if type(one) is type(other) and one == other:
            return one
        case _:
            raise MergeConflictError(f"{path_text(path)} has two values")


def path_text(path: Path, *, with_positions: bool = True) -> str:
    """Return a path as text: `stops[1].x`, or `stops[].x` without positions.

    A name that is not made of letters, digits, `_` and `-` is in double quotes, so that no two paths have one text.
    """
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]" if with_positions else "[]")
        else:
            name = step if step and step.replace("_", "").replace("-", "").isalnum() else _quoted(step)
            parts.append(f".{name}" if parts else name)
    return "".join(parts)


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
