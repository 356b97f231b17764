"""The policy for members that a type does not declare: they are never lost silently. Pure.

msgspec ignores such members unless `forbid_unknown_fields=True`, so a type that says nothing is refused at start-up.
The alternatives are to drop them explicitly, `undeclared: ClassVar = "drop"` on each Struct or inherited, or to keep
those of the record itself in a field with the role `rest`. All of them are counted.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_origin

import msgspec
from msgspec import NODEFAULT, Raw, inspect

from app.schema.refusals import CLASSES, members, refuse

WORD, DROP = "undeclared", "drop"
_REST_ROLE = "rest"
CURES = (
    "forbid_unknown_fields=True rejects a record with undeclared members, with the path; "
    f'`{WORD}: ClassVar = "{DROP}"` in the class drops and counts them; in the record type itself, a field '
    '`rest: Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})] = {}` keeps them'
)


class Policy(enum.Enum):
    """What becomes of the members that a class does not declare."""

    REJECT = "reject"
    KEEP = "keep"
    DROP = "drop"


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
        RecordTypeError: one says something that cannot be done, or nothing, and the message has the cures.
    """
    _check_rest(info, path)
    for below, each, in_json in _classes(info, path, ()):
        if reason := _problem(each, in_json=in_json):
            raise refuse(below, reason)
        if isinstance(each, inspect.StructType):
            rest = rest_field(each)
            if rest is not None and below != path:
                raise refuse(f"{below}.{rest.encode_name}", _ONLY_AT_THE_TOP)
            if rest is None and policy_of(each) is Policy.KEEP:
                raise refuse(
                    below, f"undeclared members would be lost silently. Choose one for {each.cls.__name__}: {CURES}"
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
            raise refuse(where, reason)


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


def _problem(info: inspect.Type, *, in_json: bool) -> str | None:
    if not isinstance(info, inspect.StructType):  # a dataclass or a TypedDict, only ever inside a JSON column
        return f"members that the class does not declare are lost silently; use a msgspec.Struct: {_INSTEAD}"
    word = _word(info)
    if word is None:
        return None
    if word != DROP:
        return f'{WORD} = {word!r}: the only allowed value is "{DROP}"'
    if info.forbid_unknown_fields:
        return f'the class has both forbid_unknown_fields=True and {WORD} = "{DROP}"; remove one of them'
    return f"dropped members inside a JSON column are not counted; {_INSTEAD}" if in_json else None


_INSTEAD = "use forbid_unknown_fields=True, or dict[str, Any] to keep everything"
_ONLY_AT_THE_TOP = (
    f"only the record type itself may have a field with the role {_REST_ROLE}; remove the role, and use "
    f'forbid_unknown_fields=True or `{WORD}: ClassVar = "{DROP}"` for the undeclared members of the nested class'
)


def _word(info: inspect.StructType) -> object:
    """Return the policy of the class or a base class; None if there is none, or if a field has that name."""
    cls = get_origin(info.cls) or info.cls
    return None if WORD in cls.__struct_fields__ else getattr(cls, WORD, None)


def _classes(
    info: inspect.Type, path: str, outer: tuple[type, ...], *, in_json: bool = False
) -> Iterator[tuple[str, inspect.Type, bool]]:
    """Yield every class inside a type, with its path and whether it is in a JSON column; outer classes first.

    A named tuple has no undeclared members, as it is an array in JSON.
    """
    info = _plain(info)
    if isinstance(info, CLASSES):
        if info.cls in outer:  # possible in a JSON column only
            return
        outer = (*outer, info.cls)
        if not isinstance(info, inspect.NamedTupleType):
            yield path, info, in_json
    for below, member in members(info):
        yield from _classes(member, path + below, outer, in_json=in_json or isinstance(info, inspect.DictType))


_members = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])
_any = msgspec.json.Decoder()


Outcome = Literal["kept", "dropped"]
Undeclared = Counter[Outcome]
"""How many members were undeclared, by what became of them."""
NONE_UNDECLARED = Undeclared()


class _Member(NamedTuple):
    """An undeclared member: its name, its value as JSON, and whether the rest keeps it."""

    name: str
    value: Raw
    is_kept: bool


_Find = Callable[[Raw], Iterator[_Member]]


class RestError(ValueError):
    """The rest of a record, its member `name`, cannot be filled; the message says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class UndeclaredReader:
    """Finds the undeclared members that one record type keeps or drops, in records that it accepts."""

    def __init__(self, info: inspect.StructType, find: _Find) -> None:
        self._find = find
        # The members of a record are walked only if it has others than the declared ones: a walk takes eight times as
        # long as the decoding of a record into this shape, in arrays, which fails on any other member.
        shape = _shape(info)
        self._shape, self._shapes = msgspec.json.Decoder(shape), msgspec.json.Decoder(list[shape])  # type: ignore[valid-type] # a type all the same
        rest = rest_field(info)
        self._rest, self._rest_name = (rest.name, rest.encode_name) if rest else ("", "")

    def take(self, record: msgspec.Struct, data: bytes) -> Undeclared:
        """Count the undeclared members of `record`, which was decoded from `data`, and set its rest if it has one.

        Raises:
            RestError: the record was sent with something in its rest, or no JSON column can hold a value.
            msgspec.DecodeError, UnicodeDecodeError: an undeclared value is not valid JSON.
        """
        self._check_unsent(record)
        if not _may_have_any(self._shape, data):
            return NONE_UNDECLARED
        members = [*self._find(Raw(data))]
        kept = {member.name: self._decoded(member) for member in members if member.is_kept}
        if kept:
            msgspec.structs.force_setattr(record, self._rest, kept)
        return Undeclared("kept" if member.is_kept else "dropped" for member in members)

    def _decoded(self, member: _Member) -> Any:
        try:
            return _any.decode(member.value)
        except msgspec.ValidationError as error:  # a number beyond a float's range
            message = str(error).partition(" - at ")[0]
            raise RestError(self._rest_name, f"{message} - at `$.{member.name}`") from None

    def take_all(self, records: Sequence[msgspec.Struct], payload: bytes) -> Undeclared:
        """Count the undeclared members of `records`, decoded from a JSON array, and set their rests.

        Raises:
            RestError, msgspec.DecodeError, UnicodeDecodeError: as `take`.
        """
        if not _may_have_any(self._shapes, payload):
            for record in records:
                self._check_unsent(record)
            return NONE_UNDECLARED
        undeclared = Undeclared()
        for record, piece in zip(records, _items.decode(payload), strict=True):
            undeclared.update(self.take(record, bytes(piece)))
        return undeclared

    def _check_unsent(self, record: msgspec.Struct) -> None:
        if self._rest and getattr(record, self._rest):
            raise RestError(
                self._rest_name,
                f"{self._rest_name} is filled by the service with undeclared members: expected them beside the "
                "declared ones, not here",
            )

    def rest_in(self, record: msgspec.Struct) -> dict[str, Any]:
        """Return the rest of a record; empty if it has none."""
        rest: dict[str, Any] | None = getattr(record, self._rest) if self._rest else None
        return rest or {}

    def carry_over(self, rest: dict[str, Any], record: msgspec.Struct) -> None:
        """Give `record`, made from one with `rest`, that rest, if it would have none: nothing is lost by omission."""
        if rest and self._rest and not getattr(record, self._rest):
            msgspec.structs.force_setattr(record, self._rest, rest)


def undeclared_reader(record_type: type[msgspec.Struct]) -> UndeclaredReader | None:
    """Return the reader of a record type that was accepted; None for a type that rejects all undeclared members."""
    info = inspect.type_info(record_type)
    find = _finder(info)
    return UndeclaredReader(info, find) if isinstance(info, inspect.StructType) and find is not None else None


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
    """Return the generator of the undeclared members in a value of type `info`; None if none are found."""
    match info:
        case inspect.Metadata():
            return _finder(info.type)
        case inspect.UnionType():  # of one type, and perhaps None
            return next((find for each in info.types if (find := _finder(each)) is not None), None)
        case inspect.ListType() if (find_in_item := _finder(info.item_type)) is not None:

            def find_in_list(data: Raw) -> Iterator[_Member]:
                for item in _items.decode(data):
                    yield from find_in_item(item)

            return find_in_list
        case inspect.StructType():
            return _struct_finder(info)
        case _:
            return None


def _struct_finder(info: inspect.StructType) -> _Find | None:
    inner: Mapping[str, _Find] = {
        field.encode_name: finder for field in info.fields if (finder := _finder(field.type)) is not None
    }
    declared, policy = frozenset(field.encode_name for field in info.fields), policy_of(info)
    if not inner and policy is Policy.REJECT:
        return None

    def find(data: Raw) -> Iterator[_Member]:
        if bytes(data) == b"null":
            return
        for name, value in _members.decode(data).items():
            if name not in declared:
                yield _Member(name, value, policy is Policy.KEEP)
            elif name in inner:
                yield from inner[name](value)

    return find
