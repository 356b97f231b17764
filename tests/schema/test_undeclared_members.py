"""Members that a record type does not declare: refused at start-up unless the type says what becomes of them."""

import dataclasses
from typing import Annotated, Any, ClassVar, Generic, TypedDict, TypeVar

import msgspec
import pytest

from app.record import RecordTypeError
from app.schema.columns import Kind, Mode, Role, columns_of
from app.schema.undeclared_members import CURES

_Item = TypeVar("_Item")


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """Rejects what it does not declare."""

    a: int = 0


class Silent(msgspec.Struct):
    """Says nothing."""

    a: int = 0


class Dropping(msgspec.Struct):
    """Drops what it does not declare."""

    undeclared: ClassVar = "drop"
    a: int = 0


class Named(msgspec.Struct):
    """Has a field of the word's name, which says nothing about the type."""

    undeclared: str = "drop"


class Box(msgspec.Struct, Generic[_Item]):
    """A generic Struct that says nothing."""

    item: _Item


class Typed(TypedDict):
    """A class that cannot reject what it does not declare."""

    a: int


@dataclasses.dataclass
class Data:
    """Another such class."""

    a: int


class Both(msgspec.Struct, forbid_unknown_fields=True):
    """Contradicts itself."""

    undeclared: ClassVar = "drop"
    a: int = 0


class Misspelt(msgspec.Struct):
    """Says a word that means nothing."""

    undeclared: ClassVar = "ignore"
    a: int = 0


def declared(annotation: Any) -> type[msgspec.Struct]:
    """Return a strict type with one field `f`."""
    return msgspec.defstruct("Type", [("f", annotation)], forbid_unknown_fields=True)


@pytest.mark.parametrize(
    ("annotation", "path"),
    [
        (Silent, "Type.f"),
        (list[Silent], "Type.f[]"),
        (dict[str, Silent], "Type.f.*"),
        (dict[str, list[Silent | None]], "Type.f.*[]"),
        (Box[int], "Type.f"),
        (Named, "Type.f"),
    ],
)
def test_a_struct_that_says_nothing_is_refused_with_its_path_and_the_cures(annotation: Any, path: str) -> None:
    """However it is reached: alone, optional, in a list, or in a JSON column."""
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(declared(annotation))
    said = str(refusal.value)
    assert said.startswith(f"{path}: undeclared members would be lost silently")
    assert said.endswith(CURES)


@pytest.mark.parametrize(
    ("annotation", "path", "reason"),
    [
        (Both, "Type.f", "has both"),
        (Misspelt, "Type.f", "undeclared = 'ignore': the only allowed value is \"drop\""),
        (dict[str, Dropping], "Type.f.*", "inside a JSON column are not counted"),
        (dict[str, Typed], "Type.f.*", "the class does not declare"),
        (dict[str, list[Data]], "Type.f.*[]", "the class does not declare"),
    ],
)
def test_a_word_that_cannot_be_kept_is_refused(annotation: Any, path: str, reason: str) -> None:
    """A contradiction, a word that is not known, and a class in a JSON column of which nothing could be counted."""
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(declared(annotation))
    assert str(refusal.value).startswith(f"{path}: ")
    assert reason in str(refusal.value)


REST = msgspec.Meta(extra={"sluice": ["rest"]})
Rest = Annotated[dict[str, Any], REST]


class Keeping(msgspec.Struct):
    """Keeps what it does not declare."""

    a: int = 0
    rest: Rest = {}


class KeepingStrictly(msgspec.Struct, forbid_unknown_fields=True):
    """Contradicts itself."""

    rest: Rest = {}


class KeepingAndDropping(msgspec.Struct):
    """Contradicts itself, too."""

    undeclared: ClassVar = "drop"
    rest: Rest = {}


def keeping(annotation: Any, default: Any = msgspec.NODEFAULT) -> type[msgspec.Struct]:
    """Return a type whose field `rest` has this annotation."""
    return msgspec.defstruct("Type", [("rest", annotation, msgspec.field(default=default))])


@pytest.mark.parametrize("annotation", [Rest, Rest | None, Annotated[dict[str, Any] | None, REST]])
@pytest.mark.parametrize("nested", [Strict, Dropping, list[Strict], dict[str, Any]])
def test_a_type_with_a_rest_may_have_nested_types_that_reject_or_drop(annotation: Any, nested: Any) -> None:
    """The rest is a JSON column that may be empty."""
    fields: list[Any] = [("f", nested), ("rest", annotation, msgspec.field(default_factory=dict))]
    columns = columns_of(msgspec.defstruct("Type", fields))
    assert [column.name for column in columns if Role.REST in column.roles] == ["rest"]
    assert (columns[-1].kind, columns[-1].mode) == (Kind.JSON, Mode.NULLABLE)


@pytest.mark.parametrize(
    ("record_type", "path", "reason"),
    [
        (keeping(Annotated[dict[str, int], REST], {}), "Type.rest", "must be dict[str, Any]"),
        (keeping(Annotated[dict[str, Any], REST, msgspec.Meta(max_length=3)], {}), "Type.rest", "without constraints"),
        (keeping(Rest), "Type.rest", "the rest of a record without undeclared members is empty"),
        (keeping(Rest | None, msgspec.NODEFAULT), "Type.rest", "use `rest: … = {}`"),
        (
            msgspec.defstruct("Type", [("rest", Rest, msgspec.field(default_factory=lambda: {"a": 1}))]),
            "Type.rest",
            "is empty",
        ),
        (msgspec.defstruct("Type", [("a", Rest, {}), ("b", Rest, {})]), "Type.a", "b has the role rest, too"),
        (KeepingStrictly, "KeepingStrictly.rest", "this field and forbid_unknown_fields=True"),
        (KeepingAndDropping, "KeepingAndDropping.rest", "this field and undeclared = …"),
        (declared(Keeping), "Type.f.rest", "remove the role, and use forbid_unknown_fields=True or `undeclared"),
        (declared(dict[str, Keeping]), "Type.f.*.rest", "only the record type itself"),
        (declared(dict[str, Rest]), "Type.f", "must be dict[str, Any]"),
    ],
)
def test_a_rest_that_cannot_be_kept_is_refused(record_type: type[msgspec.Struct], path: str, reason: str) -> None:
    """A type that holds less than anything, a default that was never sent, a contradiction, or a place of its own."""
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(record_type)
    assert str(refusal.value).startswith(f"{path}: ")
    assert reason in str(refusal.value)
