"""The policy for members that a type does not declare: they are never lost silently. Pure.

msgspec ignores such members unless `forbid_unknown_fields=True`, so a type that says nothing is refused at start-up.
The alternatives are to drop them explicitly, `undeclared: ClassVar = "drop"` on each Struct or inherited, or to keep
those of the record itself in a field with the role `rest`. All of them are counted.
"""

import enum
from collections.abc import Iterator
from typing import NamedTuple, get_origin

import msgspec
from msgspec import NODEFAULT, inspect

from app.record import RecordTypeError
from app.schema.refusals import CLASSES, members

WORD, DROP = "undeclared", "drop"
_REST_ROLE = "rest"
CURES = (
    "forbid_unknown_fields=True rejects a record with undeclared members, with the path; "
    f'`{WORD}: ClassVar = "{DROP}"` in the class drops and counts them; in the record type itself, a field '
    '`rest: Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})] = {}` keeps them'
)
_MAX_NAMED = 5


class Policy(enum.Enum):
    """What becomes of the members that a class does not declare."""

    REJECT = "reject"
    KEEP = "keep"
    DROP = "drop"


class _Class(NamedTuple):
    """A class inside a record type, its path, and whether it is in a JSON column."""

    path: str
    info: inspect.Type
    in_json: bool


def policy_of(info: inspect.StructType) -> Policy:
    """Return the policy of a class of a record type that `refuse_silent_loss` accepts."""
    if info.forbid_unknown_fields:
        return Policy.REJECT
    return Policy.DROP if _word(info) == DROP else Policy.KEEP


def record_policy(record_type: type[msgspec.Struct]) -> Policy:
    """Return the policy of an accepted record type for its own members."""
    info = inspect.type_info(record_type)
    return policy_of(info) if isinstance(info, inspect.StructType) else Policy.REJECT


def rest_field(info: inspect.StructType) -> inspect.Field | None:
    """Return the field of the record type that keeps undeclared members; None if there is none."""
    return next((field for field in info.fields if _is_rest(field.type)), None)


def refuse_silent_loss(info: inspect.StructType, path: str) -> None:
    """Check that each Struct of a record type declares its policy for undeclared members.

    Raises:
        RecordTypeError: one says nothing, or something that cannot be done; the message names every path and the cures.
    """
    _check_rest(info, path)
    silent = dict[str, str]()
    for each in _classes(info, path, ()):
        reason = _problem(each)
        if reason is not None:
            raise RecordTypeError(f"{each.path}: {reason}")
        if not isinstance(each.info, inspect.StructType):
            continue
        rest = rest_field(each.info)
        if rest is not None and each.path != path:
            raise RecordTypeError(f"{each.path}.{rest.encode_name}: {_ONLY_AT_THE_TOP}")
        if rest is None and policy_of(each.info) is Policy.KEEP:
            silent.setdefault(each.path, each.info.cls.__name__)
    if silent:
        named = ", ".join([*silent][:_MAX_NAMED]) + (", …" if len(silent) > _MAX_NAMED else "")
        classes = ", ".join(dict.fromkeys(silent.values()))
        raise RecordTypeError(
            f"{named}: undeclared members would be lost silently. Choose one for each class ({classes}): {CURES}"
        )


def _check_rest(info: inspect.StructType, path: str) -> None:
    """Check the field of the record type with the role `rest`, if there is one."""
    marked = [field for field in info.fields if _is_rest(field.type)]
    if not marked:
        return
    where = f"{path}.{marked[0].encode_name}"
    for wrong, reason in (
        (len(marked) > 1, f"{marked[-1].encode_name} has the role {_REST_ROLE}, too; remove one of them"),
        (not _holds_anything(marked[0].type), "the type of the rest must be dict[str, Any], without constraints"),
        (
            _has_content(marked[0]),
            f"the rest of a record without undeclared members is empty; use `{marked[0].name}: … = {{}}`",
        ),
        (
            info.forbid_unknown_fields,
            f"{info.cls.__name__} has both this field and forbid_unknown_fields=True; remove one of them",
        ),
        (_word(info) is not None, f"{info.cls.__name__} has both this field and {WORD} = …; remove one of them"),
    ):
        if wrong:
            raise RecordTypeError(f"{where}: {reason}")


def _is_rest(info: inspect.Type) -> bool:
    """Return whether a field has the role `rest`, on its type or on a type inside of it that is not a class."""
    if isinstance(info, inspect.Metadata):
        return _REST_ROLE in (info.extra or {}).get("sluice", ()) or _is_rest(info.type)
    return not isinstance(info, CLASSES) and any(_is_rest(member) for _, member in members(info))


def _plain(info: inspect.Type) -> inspect.Type:
    while isinstance(info, inspect.Metadata):
        info = info.type
    return info


def _holds_anything(info: inspect.Type) -> bool:
    info = _plain(info)
    if isinstance(info, inspect.UnionType):
        return all(isinstance(each, inspect.NoneType) or _holds_anything(each) for each in info.types)
    return info == inspect.DictType(inspect.StrType(), inspect.AnyType())


def _has_content(field: inspect.Field) -> bool:
    """Return whether a record without the field has something in it, or cannot do without."""
    if field.default_factory is not NODEFAULT:
        return bool(field.default_factory() != {})
    return field.default not in (None, {})  # NODEFAULT too: the field would be required


def _problem(each: _Class) -> str | None:
    info = each.info
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
    return _NOT_DROPPED_IN_JSON if each.in_json else None


_INSTEAD = "use forbid_unknown_fields=True, or dict[str, Any] to keep everything"
_NOT_DROPPED_IN_JSON = f"dropped members inside a JSON column are not counted; {_INSTEAD}"
_ONLY_AT_THE_TOP = (
    f"only the record type itself may have a field with the role {_REST_ROLE}; remove the role, and use "
    f'forbid_unknown_fields=True or `{WORD}: ClassVar = "{DROP}"` for the undeclared members of the nested class'
)


def _word(info: inspect.StructType) -> object:
    """Return the policy of the class or a base class; None if there is none, or if a field has that name."""
    cls = get_origin(info.cls) or info.cls
    return None if WORD in cls.__struct_fields__ else getattr(cls, WORD, None)


def _classes(info: inspect.Type, path: str, outer: tuple[type, ...], *, in_json: bool = False) -> Iterator[_Class]:
    """Yield every class inside a type; outer classes first."""
    info = _plain(info)
    if isinstance(info, CLASSES):
        if info.cls in outer:  # possible in a JSON column only
            return
        outer = (*outer, info.cls)
        yield _Class(path, info, in_json)
    for below, member in members(info):
        yield from _classes(member, path + below, outer, in_json=in_json or isinstance(info, inspect.DictType))
