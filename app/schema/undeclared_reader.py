"""Find the members that a record type does not declare in records given as JSON. Pure.

Values stay undecoded (msgspec.Raw) until one is needed, so a number that only its declared type could parse causes no
error here.

Most records have no undeclared members, so a decoder in C looks first. It decodes to a *shape*: the record type with
each class that keeps or drops members strict, and all other values left as bytes. If that succeeds, there are none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, inspect

from app.schema.undeclared_members import Policy, policy_of, rest_field

_members = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])
_any = msgspec.json.Decoder()


class Undeclared(NamedTuple):
    """An undeclared member: the path of its object, its name, its value as JSON, and whether the rest keeps it."""

    parent: str
    name: str
    value: Raw
    is_kept: bool

    @property
    def path(self) -> str:
        """The member's path in the record."""
        return member_path(self.parent, self.name)


_Find = Callable[[Raw, str], Iterator[Undeclared]]


class RestError(ValueError):
    """The rest of a record, its member `name`, cannot be filled; the message says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class UndeclaredReader:
    """Finds the undeclared members that one record type keeps or drops, in records that it accepts."""

    def __init__(self, info: inspect.StructType, find: _Find) -> None:
        shape = _shape(info)
        self._find = find
        self._shape, self._shapes = msgspec.json.Decoder(shape), msgspec.json.Decoder(list[shape])  # type: ignore[valid-type] # a type all the same
        rest = rest_field(info)
        self._rest, self._rest_name = (rest.name, rest.encode_name) if rest else ("", "")

    @property
    def keeps(self) -> bool:
        """Whether the type has a rest."""
        return bool(self._rest)

    def find(self, data: bytes) -> Iterator[Undeclared]:
        """Return the undeclared members of a record, in the order of the record."""
        return self._find(Raw(data), "") if _may_have_any(self._shape, data) else iter(())

    def fill(self, record: msgspec.Struct, data: bytes, most: int) -> int:
        """Set the rest of `record`, which was decoded from `data`; return how many undeclared members it has.

        A record with more than `most` keeps none, and the result is `most + 1`.

        Raises:
            RestError: the record was sent with something in its rest, or no JSON column can hold a value.
            msgspec.DecodeError, UnicodeDecodeError: an undeclared value is not valid JSON.
        """
        self._check_unsent(record)
        members = [*islice(self.find(data), most + 1)]
        kept = [member for member in members if member.is_kept]
        if kept and len(members) <= most:
            rest = {member.name: self._decoded(member) for member in kept}
            msgspec.structs.force_setattr(record, self._rest, rest)
        return len(members)

    def _decoded(self, member: Undeclared) -> Any:
        try:
            return _any.decode(member.value)
        except msgspec.ValidationError as error:  # a number beyond a float's range
            message = str(error).partition(" - at ")[0]
            raise RestError(self._rest_name, f"{message} - at `$.{member.path}`") from None

    def fill_all(self, records: Sequence[msgspec.Struct], payload: bytes, most: int) -> Sequence[int] | None:
        """Set the rests of `records`, decoded from a JSON array; return the positions of those with undeclared members.

        The result is None if they have more than `most` in all.

        Raises:
            RestError, msgspec.DecodeError, UnicodeDecodeError: as `fill`.
        """
        if not _may_have_any(self._shapes, payload):
            for record in records:
                self._check_unsent(record)
            return ()
        positions = list[int]()
        for position, (record, piece) in enumerate(zip(records, _items.decode(payload), strict=True)):
            count = self.fill(record, bytes(piece), most)
            most -= count
            if most < 0:
                return None
            if count:
                positions.append(position)
        return positions

    def rest_in(self, record: msgspec.Struct) -> dict[str, Any]:
        """Return the rest of a record; empty if it has none."""
        rest: dict[str, Any] | None = getattr(record, self._rest) if self._rest else None
        return rest or {}

    def carry_over(self, rest: dict[str, Any], record: msgspec.Struct) -> None:
        """Give `record`, made from one with `rest`, that rest, if it would have none: nothing is lost by omission."""
        if rest and self._rest and not getattr(record, self._rest):
            msgspec.structs.force_setattr(record, self._rest, rest)

    def _check_unsent(self, record: msgspec.Struct) -> None:
        if getattr(record, self._rest):
            raise RestError(
                self._rest_name,
                f"{self._rest_name} is filled by the service with undeclared members: expected them beside the "
                "declared ones, not here",
            )


def undeclared_reader(record_type: type[msgspec.Struct]) -> UndeclaredReader | None:
    """Return the reader of a record type that was accepted; None for a type that rejects all undeclared members."""
    info = inspect.type_info(record_type)
    find = _finder(info)
    return UndeclaredReader(info, find) if isinstance(info, inspect.StructType) and find is not None else None


def member_path(path: str, name: str) -> str:
    """Return the path of the member `name` of the object at `path`: `stops[].x`.

    A name that is not made of letters, digits, `_` and `-` is in double quotes, so that no two paths have one text.
    """
    if not name or not name.replace("_", "").replace("-", "").isalnum():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{escaped}"'
    return f"{path}.{name}" if path else name


def _may_have_any(shape: msgspec.json.Decoder[Any], data: bytes) -> bool:
    try:
        shape.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return False


def _shape(info: inspect.Type) -> Any:
    """Return the shape of a type: a strict class for one that may have undeclared members, Raw for all others."""
    match info:
        case inspect.Metadata():
            return _shape(info.type)
        case inspect.UnionType():  # columns have one type, and perhaps None
            (shape,) = {_shape(each) for each in info.types if not isinstance(each, inspect.NoneType)}
            return shape if shape is Raw else shape | None
        case inspect.ListType() if (item := _shape(info.item_type)) is not Raw:
            return list[item]  # type: ignore[valid-type] # a type all the same
        case inspect.StructType() if _finder(info) is not None:
            return _strict_class(info)
        case _:
            return Raw


def _strict_class(info: inspect.StructType) -> type[msgspec.Struct]:
    names = {f"field_{number}": field.encode_name for number, field in enumerate(info.fields)}
    fields = [
        (name, shape if shape is Raw else shape | None, Raw() if shape is Raw else None)
        for name, shape in zip(names, [_shape(field.type) for field in info.fields], strict=True)
    ]
    return msgspec.defstruct("Shape", fields, rename=names, forbid_unknown_fields=True, gc=False)


def _finder(info: inspect.Type) -> _Find | None:
    """Return the generator of the undeclared members below a path in a value of type `info`; None if none are found."""
    match info:
        case inspect.Metadata():
            return _finder(info.type)
        case inspect.UnionType():
            finders = [find for find in map(_finder, info.types) if find is not None]
            return finders[0] if finders else None
        case inspect.ListType():
            return _list_finder(info)
        case inspect.StructType():
            return _struct_finder(info)
        case _:
            return None


def _list_finder(info: inspect.ListType) -> _Find | None:
    find_in_item = _finder(info.item_type)
    if find_in_item is None:
        return None

    def find(data: Raw, path: str) -> Iterator[Undeclared]:
        for item in _items.decode(data):
            yield from find_in_item(item, f"{path}[]")

    return find


def _struct_finder(info: inspect.StructType) -> _Find | None:
    inner: Mapping[str, _Find] = {
        field.encode_name: finder for field in info.fields if (finder := _finder(field.type)) is not None
    }
    declared, policy = frozenset(field.encode_name for field in info.fields), policy_of(info)
    if not inner and policy is Policy.REJECT:
        return None

    def find(data: Raw, path: str) -> Iterator[Undeclared]:
        if bytes(data) == b"null":
            return
        for name, value in _members.decode(data).items():
            if name not in declared:
                yield Undeclared(path, name, value, policy is Policy.KEEP)
            elif name in inner:
                yield from inner[name](value, member_path(path, name))

    return find
