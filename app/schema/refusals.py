"""The reasons for refusing a declaration: the types that no column can hold, and what to declare instead."""

from typing import get_args

import msgspec
from msgspec import inspect

from app.record import RecordTypeError

_USE_ANY = "use dict[str, Any] or Any for a JSON column"
_REASONS: dict[type[inspect.Type], str] = {
    inspect.TimeDeltaType: "clients disagree on BigQuery's durations; use seconds as int or float",
    inspect.NoneType: "a column that is always null stores nothing; remove the field",
    inspect.VarTupleType: "use list[…]",
    inspect.TupleType: "the positions of a tuple have no names; use a Struct",
    inspect.SetType: "a set has no order, which a column needs; use list[…]",
    inspect.FrozenSetType: "a set has no order, which a column needs; use list[…]",
    inspect.DataclassType: "use msgspec.Struct for nested records",
    inspect.TypedDictType: "use msgspec.Struct for nested records",
    inspect.NamedTupleType: "use msgspec.Struct for nested records",
    inspect.ByteArrayType: "use bytes",
    inspect.MemoryViewType: "use bytes",
    inspect.RawType: f"Raw is not validated; {_USE_ANY}",
    inspect.ExtType: "Ext exists only in MessagePack",
    inspect.CustomType: "msgspec does not validate this type; use bool, int, float, Decimal, str, bytes, "
    "datetime, date, time, UUID, Enum, Literal, list, Struct, dict or Any",
}


def refuse(path: str, reason: str) -> RecordTypeError:
    """Return the error that refuses the field at `path`."""
    return RecordTypeError(f"{path}: {reason}")


def reason_for(info: inspect.Type) -> str:
    """Return the reason why a field of type `info` has no column."""
    return _REASONS.get(type(info), f"{type(info).__name__} has no column type; {_USE_ANY}")


def mentions_unset(hint: object) -> bool:
    """Return whether UNSET may be a value of `hint`; msgspec.inspect does not show it."""
    return hint is msgspec.UnsetType or any(map(mentions_unset, get_args(hint)))


def refuse_unjsonable(info: inspect.Type, path: str, outer: tuple[type, ...] = ()) -> None:
    """Check that a JSON column can hold `info`; `outer` are the classes on `path`.

    Raises:
        RecordTypeError: there is a type that is not msgspec's, or a key that is not text.
    """
    while isinstance(info, inspect.Metadata):
        if any(str(word).startswith("pii:") for word in (info.extra or {}).get("sluice", ())):
            raise refuse(path, "personal data inside a JSON column cannot be found; give the role to the whole column")
        info = info.type
    if isinstance(info, inspect.CustomType | inspect.ExtType | inspect.RawType):
        raise refuse(path, reason_for(info))
    if isinstance(info, inspect.DictType):
        key = info.key_type.type if isinstance(info.key_type, inspect.Metadata) else info.key_type
        if not isinstance(key, inspect.StrType):
            raise refuse(path, "the keys of a JSON object are strings; use dict[str, …]")
    if isinstance(info, CLASSES):
        if info.cls in outer:
            return
        outer = (*outer, info.cls)
    for below, member in members(info):
        refuse_unjsonable(member, path + below, outer)


CLASSES = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType, inspect.NamedTupleType)


def members(info: inspect.Type) -> list[tuple[str, inspect.Type]]:
    """Return the types inside `info`, each with its suffix to the path."""
    match info:
        case inspect.UnionType():
            return [("", member) for member in info.types]
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return [("[]", info.item_type)]
        case inspect.TupleType():
            return [(f"[{position}]", member) for position, member in enumerate(info.item_types)]
        case inspect.DictType():
            return [(".*", info.value_type)]
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType() | inspect.NamedTupleType():
            return [(f".{field.encode_name}", field.type) for field in info.fields]
        case _:
            return []


def type_info(record_type: type[msgspec.Struct]) -> inspect.StructType:
    """Return what msgspec says about `record_type`, which may be a generic Struct with its arguments.

    Raises:
        RecordTypeError: msgspec refuses the declaration, for the reason in the message.
    """
    try:
        info = inspect.type_info(record_type)
    except (TypeError, ValueError, NameError, NotImplementedError) as error:
        raise refuse(record_type.__name__, f"msgspec does not support this declaration: {error}") from error
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{record_type} is no Struct")
    return info
