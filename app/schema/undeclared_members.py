"""The policy for members that a type does not declare: they are never lost silently. Pure.

msgspec ignores such members unless `forbid_unknown_fields=True`, so a type that says nothing is refused at start-up.
The alternative is to drop them explicitly: `undeclared: ClassVar = "drop"`, on each Struct or inherited. Dropped
members are counted.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_origin

import msgspec
from msgspec import inspect

from app.record import RecordTypeError
from app.schema.refusals import CLASSES, members

WORD, DROP = "undeclared", "drop"
CURES = (
    f"forbid_unknown_fields=True rejects a record with undeclared members, with the path; `{WORD}: ClassVar = "
    f'"{DROP}"` in the class drops and counts them'
)
_MAX_NAMED = 5
CountDropped = Callable[[bytes], int]
"""Returns how many members of a record, given as JSON, its type drops."""


def refuse_silent_loss(info: inspect.StructType, path: str) -> None:
    """Check that each Struct of a record type declares its policy for undeclared members.

    Raises:
        RecordTypeError: one says nothing, or something that cannot be done; the message names every path and the cures.
    """
    silent = dict[str, str]()
    for where, below, in_json in _classes(info, path, ()):
        reason = _problem(below, in_json=in_json)
        if reason is not None:
            raise RecordTypeError(f"{where}: {reason}")
        if isinstance(below, inspect.StructType) and not below.forbid_unknown_fields and not _drops(below):
            silent.setdefault(where, below.cls.__name__)
    if silent:
        named = ", ".join([*silent][:_MAX_NAMED]) + (", …" if len(silent) > _MAX_NAMED else "")
        classes = ", ".join(dict.fromkeys(silent.values()))
        raise RecordTypeError(
            f"{named}: undeclared members would be lost silently. Choose one for each class ({classes}): {CURES}"
        )


def count_dropped(record_type: type[msgspec.Struct]) -> CountDropped | None:
    """Return a function that counts the members that `record_type` drops; None for a type that drops none.

    It takes the bytes of a record that the type has accepted. A dropped member counts once, at the level where it is
    dropped, whatever it contains.
    """
    info = inspect.type_info(record_type)
    return _counter(info) if isinstance(info, inspect.StructType) else None


def _problem(info: inspect.Type, *, in_json: bool) -> str | None:
    if isinstance(info, inspect.DataclassType | inspect.TypedDictType):  # only ever inside a JSON column
        kind = "a dataclass" if isinstance(info, inspect.DataclassType) else "a TypedDict"
        return (
            f"members that {kind} does not declare are lost silently; use a msgspec.Struct with "
            "forbid_unknown_fields=True, or dict[str, Any] to keep them"
        )
    word = _word(info) if isinstance(info, inspect.StructType) else None
    if word is None:
        return None
    if word != DROP:
        return f'{WORD} = {word!r}: the only allowed value is "{DROP}"'
    if isinstance(info, inspect.StructType) and info.forbid_unknown_fields:
        return f'the class has both forbid_unknown_fields=True and {WORD} = "{DROP}"; remove one of them'
    return _NOT_IN_JSON if in_json else None


_NOT_IN_JSON = (
    "dropped members inside a JSON column are not counted; use forbid_unknown_fields=True, or dict[str, Any] "
    "to keep everything"
)


def _word(info: inspect.StructType) -> object:
    """Return the policy of the class or a base class; None if there is none, or if a field has that name."""
    cls = get_origin(info.cls) or info.cls
    return None if WORD in cls.__struct_fields__ else getattr(cls, WORD, None)


def _drops(info: inspect.StructType) -> bool:
    return _word(info) == DROP


def _classes(
    info: inspect.Type, path: str, outer: tuple[type, ...], *, in_json: bool = False
) -> Iterator[tuple[str, inspect.Type, bool]]:
    """Yield every class inside a type, its path, and whether it is in a JSON column; outer classes first."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, CLASSES):
        if info.cls in outer:  # possible in a JSON column only
            return
        outer = (*outer, info.cls)
        yield path, info, in_json
    for below, member in members(info):
        yield from _classes(member, path + below, outer, in_json=in_json or isinstance(info, inspect.DictType))


_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])


def _counter(info: inspect.Type) -> CountDropped | None:
    """Return a function that counts the dropped members in a value of type `info`; None if nothing is dropped.

    Values stay undecoded (msgspec.Raw): each level costs one scan, and a number that only its type could parse causes
    no error here.
    """
    while isinstance(info, inspect.Metadata):
        info = info.type
    match info:
        case inspect.UnionType():
            found = [count for count in map(_counter, info.types) if count is not None]
            return found[0] if found else None  # columns have one type, and perhaps None
        case inspect.ListType():
            return _list_counter(info)
        case inspect.StructType():
            return _struct_counter(info)
        case _:
            return None


def _list_counter(info: inspect.ListType) -> CountDropped | None:
    count_item = _counter(info.item_type)
    if count_item is None:
        return None
    return lambda data: sum(map(count_item, map(bytes, _items.decode(data))))


def _struct_counter(info: inspect.StructType) -> CountDropped | None:
    inner: Mapping[str, CountDropped] = {
        field.encode_name: counter for field in info.fields if (counter := _counter(field.type)) is not None
    }
    declared, drops = frozenset(field.encode_name for field in info.fields), _drops(info)
    if not inner and not drops:
        return None

    def count(data: bytes) -> int:
        if data == b"null":
            return 0
        found: Mapping[str, Any] = _members.decode(data)
        below = sum(count_in(bytes(found[name])) for name, count_in in inner.items() if name in found)
        return below + (len(found.keys() - declared) if drops else 0)

    return count
