"""What msgspec says about a declaration, with every part that it refuses named. Pure.

`msgspec.inspect.type_info` stops at the first part that it cannot use, and its message names neither the field nor the
other faults. So a declaration that it refuses is walked part by part.
"""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Meta, inspect

from app.schema.refusals import Faults, refuse

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
