"""The fields to declare for members that records have and their type does not, as Python. Pure.

A type is suggested only if every value seen fits it; a member with values of several types becomes a JSON column.
"""

import keyword
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, inspect

from app.schema.columns import INT64_MAX, Column, Kind, name_problem
from app.schema.rest import Path, path_text
from app.schema.seen_members import SeenMember
from app.schema.table import Table

_JSON_COLUMN = "Any"
_PROMOTED = 'promoted = Meta(extra={"sluice": ["promoted"]})  # older records show the value as well'
_MAX_MEMBERS = 500
_MAX_EXACT = 2**53  # beyond it, not every integer is a float
_WIDE, _HUGE = "int beyond 2^53", "int beyond 64 bits"
# By the word for it in a declaration. A date is not a datetime, nor is a text without an offset.
_TEXT_TYPES: Mapping[str, Any] = {
    "datetime": Annotated[datetime, Meta(tz=True)],
    "date": date,
    "UUID": UUID,
}


class Member(msgspec.Struct):
    """An undeclared member: the path of its class in the record, its name, and the types of the values seen."""

    place: str
    name: str
    count: int = 0
    nulls: int = 0
    types: Counter[str] = msgspec.field(default_factory=Counter)


class Observation:
    """Collects the members of rests, at most 500 different ones; `records` counts the rests that have any."""

    def __init__(self, table: Table) -> None:
        self._columns = table.record
        self._members: dict[tuple[str, str], Member] = {}
        self.examined = self.records = self.others = 0

    def add(self, rest: Mapping[str, Any] | None) -> None:
        """Add the rest of one record."""
        self.examined += 1
        self.records += bool(rest)
        for place, name, value in _undeclared(rest or {}, self._columns, ()):
            key = (path_text(place, with_positions=False), name)
            member = self._members.get(key)
            if member is None:
                if len(self._members) == _MAX_MEMBERS:
                    self.others += 1
                    continue
                member = self._members[key] = Member(*key)
            member.count += 1
            if value is None:
                member.nulls += 1
            else:
                member.types[_type_of(value)] += 1

    @property
    def members(self) -> list[Member]:
        """The members by class, those of the record type first, the most frequent first."""
        return sorted(self._members.values(), key=lambda each: (each.place, -each.count, each.name))


def _undeclared(rest: Mapping[str, Any], columns: tuple[Column, ...], place: Path) -> Iterator[tuple[Path, str, Any]]:
    """Yield each undeclared member of a rest: the path of its class, its name and its value."""
    by_name = {column.name: column for column in columns if column.kind is Kind.STRUCT}
    for name, value in rest.items():
        column = by_name.get(name)
        match value:
            case dict() if column is not None:
                yield from _undeclared(value, column.fields, (*place, name))
            case list() if column is not None:
                for item in value:
                    yield from _undeclared(item, column.fields, (*place, name, 0))
            case _:
                yield place, name, value


def _type_of(value: Any) -> str:
    """Return the type that a value needs, as a word of a declaration where there is one."""
    match value:
        case bool() | float() | dict() | None:
            return _WORDS[type(value)]
        case int():
            return next(word for word, most in _INTEGERS.items() if abs(value) <= most)
        case str():
            return next((word for word, type_ in _TEXT_TYPES.items() if _is(value, type_)), "str")
        case _:
            types = {_type_of(item) for item in value}
            item = _joined(types) if types else ""
            return f"list[{item}]" if item != _JSON_COLUMN else "list"


_WORDS: Mapping[type, str] = {bool: "bool", float: "float", dict: "object", type(None): "null"}
_INTEGERS = {"int": _MAX_EXACT, _WIDE: INT64_MAX, _HUGE: float("inf")}


def _is(text: str, type_: Any) -> bool:
    try:
        msgspec.convert(text, type_)
    except msgspec.ValidationError:
        return False
    return True


def _joined(types: Iterable[str]) -> str:
    """Return the declared type that holds values of all these types; Any if only a JSON column does."""
    words = set(types)
    if len(words) > 1:
        words.discard("list[]")  # an empty list fits into any list
    if len(words) == 1:
        (word,) = words
        if word.startswith("list[") and word != "list[]" and not word.startswith("list[list"):
            return word
        return _ALONE.get(word, word) if word in _DECLARABLE else _JSON_COLUMN
    together = (word for allowed, word in _TOGETHER if words <= allowed)
    return next(together, _JSON_COLUMN)


_ALONE = {_WIDE: "int", "object": "dict[str, Any]"}
_DECLARABLE = {"bool", "int", _WIDE, "float", "str", *_TEXT_TYPES, "object"}
_TOGETHER = (({"int", _WIDE}, "int"), ({"int", "float"}, "float"), ({"str", *_TEXT_TYPES}, "str"))


def suggestion_text(table: Table, observed: Observation, *, since: str) -> str:
    """Return the fields to declare in each class, as Python, and what cannot be declared, as comments."""
    noun = "has" if observed.records == 1 else "have"
    lines = [
        f"# {table.name}: {observed.records} of the {observed.examined} newest records since {since} "
        f"{noun} undeclared members."
    ]
    classes = _classes(table)
    by_place: dict[str, list[Member]] = {}
    for member in observed.members:
        by_place.setdefault(member.place, []).append(member)
    for place, members in by_place.items():
        described = classes[place]
        lines += ["", f"class {described.__name__}(…):" + (f"  # {place}" if place else "")]
        # Only a field of the record type itself can be promoted (app.schema.promotion).
        is_promoted = table.rest is not None and not place
        if is_promoted:
            lines.insert(1, _PROMOTED)
        taken = _taken(table, described, place)
        lines += [_line(member, described, taken, is_promoted=is_promoted) for member in members]
    if observed.others:
        lines += ["", f"# {observed.others} more members have other names; there are more than {_MAX_MEMBERS}."]
    return "\n".join(lines) + "\n"


def seen_text(seen: Sequence[SeenMember], others: int) -> str:
    """Return the members that an instance of the service has seen, as comments."""
    lines = [f"#   {each.path}  {each.outcome} {each.count}" for each in seen]
    lines += [f"#   and {others} with other names"] if others else []
    title = "# Seen by one instance since it started" + (":" if lines else ": none.")
    return "\n".join(["", title, *lines]) + "\n"


def _line(member: Member, described: type[msgspec.Struct], taken: Mapping[str, str], *, is_promoted: bool) -> str:
    """Return the declaration of a member, or a comment that says why there is none."""
    counts = _counts_text(member)
    twin = taken.get(member.name.lower())
    problem = name_problem(member.name)
    if twin is not None:
        problem = f"{twin} has this name, in which case does not count"
    if problem is not None:
        return f"    # {path_text((member.name,))}: {counts}; it stays in the rest: {problem}"
    word = _joined(member.types) if member.types else _JSON_COLUMN
    is_renamed = described.__struct_fields__ != described.__struct_encode_fields__
    attribute = f"{member.name}_" if keyword.iskeyword(member.name) else member.name
    is_list = word.startswith("list[")
    annotation, default = (word, "[]") if is_list else (f"{word} | None", "None")
    if word == _JSON_COLUMN:
        annotation, default = _JSON_COLUMN, "None"
    if is_promoted:
        annotation = f"Annotated[{annotation}, promoted]"
    if is_renamed or attribute != member.name:
        factory = "default_factory=list" if is_list else "default=None"
        default = f'msgspec.field({factory}, name="{member.name}")'
    return f"    {attribute}: {annotation} = {default}  # {counts}"


def _counts_text(member: Member) -> str:
    """Return how often a member occurs, and its types where they do not fit in one."""
    if not member.types:
        return f"{member.count}: only null, so its type is unknown"
    counts = [f"{word} {count}" for word, count in member.types.most_common()]
    counts += [f"null {member.nulls}"] if member.nulls and len(counts) > 1 else []
    if _joined(member.types) != _JSON_COLUMN:
        return str(member.count)
    if set(member.types) == {"list[]"}:
        return f"{member.count}: only empty lists, so the type of the items is unknown"
    return f"{member.count}: no type but a JSON column holds all of {', '.join(counts)}"


def _taken(table: Table, described: type[msgspec.Struct], place: str) -> dict[str, str]:
    """Return the names that columns of a class have, or that the service adds, by their lower case."""
    names = [*described.__struct_encode_fields__, *([] if place else [column.name for column in table.envelope])]
    return {name.lower(): name for name in names}


def _classes(table: Table) -> dict[str, type[msgspec.Struct]]:
    """Return the classes inside a record type by their path, that of the record type being empty."""
    classes: dict[str, type[msgspec.Struct]] = {}

    def add(info: inspect.Type, place: Path) -> None:
        match info:
            case inspect.Metadata():
                add(info.type, place)
            case inspect.UnionType():
                for each in info.types:
                    add(each, place)
            case inspect.ListType():
                add(info.item_type, (*place, 0))
            case inspect.StructType():
                classes[path_text(place, with_positions=False)] = info.cls
                for field in info.fields:
                    add(field.type, (*place, field.encode_name))

    add(inspect.type_info(table.record_type), ())
    return classes
