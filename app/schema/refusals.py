"""The reasons for refusing a declaration: the types that no column can hold, and what to declare instead."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Meta, inspect

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


class Faults:
    """Collects the faults of a declaration, so that all of them are reported at once."""

    def __init__(self) -> None:
        self._faults: dict[str, None] = {}

    def __len__(self) -> int:
        """Return how many faults there are."""
        return len(self._faults)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the faults that a part of the work raises, and go on after it."""
        try:
            yield
        except RecordTypeError as error:
            self._faults.update(dict.fromkeys(error.faults))

    def add(self, path: str, reason: str) -> None:
        """Add the fault of the field at `path`."""
        self._faults[f"{path}: {reason}"] = None

    def report(self) -> None:
        """Raise what was found, if anything was.

        Raises:
            RecordTypeError: there are faults; each is named once.
        """
        if self._faults:
            raise RecordTypeError(*self._faults)


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


_ERRORS = (TypeError, ValueError, NameError, NotImplementedError)
_CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")


class TypeInfo(NamedTuple):
    """What msgspec says about a Struct, without the fields that it refuses; `faults` names those."""

    info: inspect.StructType | None
    faults: Faults


def type_info(record_type: Any) -> TypeInfo:
    """Return what msgspec says about `record_type`, which may be a generic Struct with its arguments."""
    faults = Faults()
    info = _PartByPart(faults).of(record_type, record_type.__name__, ())
    return TypeInfo(info if isinstance(info, inspect.StructType) else None, faults)


class _PartByPart:
    """Describes a type that msgspec refuses as a whole."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def of(self, hint: Any, path: str, outer: tuple[Any, ...]) -> inspect.Type | None:
        """Return what is known about `hint` at `path`, inside the Structs `outer`; None if it is at fault itself."""
        try:
            return inspect.type_info(hint)
        except _ERRORS as error:
            return self._of_refused(hint, path, outer, error)

    def _of_refused(self, hint: Any, path: str, outer: tuple[Any, ...], error: Exception) -> inspect.Type | None:
        origin: Any = get_origin(hint)
        arguments: tuple[Any, ...] = get_args(hint)
        if isinstance(declared := origin or hint, type) and issubclass(declared, msgspec.Struct):
            described, fault_count = None, len(self._faults)
            with self._faults.collected():
                described = self._struct(hint, path, outer)
                if len(self._faults) == fault_count and hint not in outer:
                    raise refuse(path, _unsupported(error))  # every field is fine, so the whole is not
            return described
        suffix = {list: "[]", dict: ".*"}.get(origin, "")
        parts = arguments[:1] if origin is Annotated else () if origin is Literal else arguments
        if all(map(_is_fine, parts)):  # so the whole is not
            self._faults.add(path, _of_optional(hint) or _unsupported(error))
            return None
        known = [info for part in parts if (info := self.of(part, path + suffix, outer)) is not None]
        if not known:
            return None
        if origin in {Union, UnionType}:
            return inspect.UnionType(tuple(known))
        return inspect.ListType(known[0]) if origin is list else known[0] if origin is Annotated else None

    def _struct(self, hint: Any, path: str, outer: tuple[Any, ...]) -> inspect.StructType:
        declared = get_origin(hint) or hint
        if hint in outer:
            return inspect.StructType(cls=hint, fields=())  # `columns` refuses it by its name
        try:
            members = msgspec.structs.fields(hint)
        except _ERRORS as error:
            raise refuse(path, _unsupported(error)) from error
        config, fields = declared.__struct_config__, list[inspect.Field]()
        for member in members:
            info = self.of(member.type, f"{path}.{member.encode_name}", (*outer, hint))
            if info is not None:
                fields.append(
                    inspect.Field(
                        name=member.name,
                        encode_name=member.encode_name,
                        type=info,
                        required=member.required,
                        default=member.default,
                        default_factory=member.default_factory,
                    )
                )
        return inspect.StructType(
            cls=hint,
            fields=tuple(fields),
            tag_field=config.tag_field,
            tag=config.tag,
            array_like=config.array_like,
            forbid_unknown_fields=config.forbid_unknown_fields,
        )


def _is_fine(hint: Any) -> bool:
    try:
        inspect.type_info(hint)
    except _ERRORS:
        return False
    return True


def _unsupported(error: Exception) -> str:
    return f"msgspec does not support this declaration: {error}"


def _of_optional(hint: Any) -> str | None:
    """Return how to spell a constraint on a value that may be null; None if that is not what is wrong.

    msgspec refuses a constraint on a union, even with None alone; it belongs on the member that it constrains.
    """
    declared, *metas = get_args(hint) or (None,)
    members = get_args(declared) if get_origin(declared) in {Union, UnionType} else ()
    if NoneType not in members or not all(isinstance(meta, Meta) for meta in metas):
        return None
    others = [member for member in members if member is not NoneType]
    if len(others) != 1 or not _is_fine(right := Annotated[others[0], *metas]):
        return None
    names = [name for meta in metas for name in _CONSTRAINTS if getattr(meta, name) is not None]
    return f"None cannot have the constraint {', '.join(names)}; write {_spelled(right)} | None"


def _spelled(hint: Any) -> str:
    """Return a type as a declaration spells it, without the modules of the names."""
    if get_origin(hint) is Annotated:
        declared, *metas = get_args(hint)
        return f"Annotated[{', '.join([_spelled(declared), *(repr(meta).removeprefix('msgspec.') for meta in metas)])}]"
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    name = getattr(get_origin(hint), "__name__", str(hint))
    return f"{name}[{', '.join(map(_spelled, get_args(hint)))}]" if get_args(hint) else name
