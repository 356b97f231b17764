"""Members that a record type does not declare: refused at start-up unless the type says what becomes of them."""

import dataclasses
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, TypedDict, TypeVar

import msgspec
import pytest

from app.record import RecordTypeError
from app.schema.columns import columns_of
from app.schema.undeclared_members import CURES, count_dropped

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


class Extended(Dropping, rename="camel"):
    """Inherits the word, and has a Struct of each form."""

    unit_price: Decimal = Decimal(0)
    one: Dropping | None = None
    strict: Strict | None = None
    lines: list[Annotated[Dropping, msgspec.Meta(description="A line.")]] = []
    payload: dict[str, Any] = {}


class Carrying(msgspec.Struct, forbid_unknown_fields=True):
    """Drops nothing itself; a Struct inside of it does."""

    lines: list[Dropping] = []


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
        (Silent | None, "Type.f"),
        (list[Silent], "Type.f[]"),
        (list[Annotated[Silent, msgspec.Meta(description="x")]], "Type.f[]"),
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


def test_all_silent_structs_are_named_at_once() -> None:
    """One start names them all, the outermost first."""
    outer = msgspec.defstruct("Outer", [("first", Silent), ("then", list[Silent])])
    with pytest.raises(RecordTypeError, match=r"^Outer, Outer\.first, Outer\.then\[\]: .*\(Outer, Silent\)"):
        columns_of(outer)


@pytest.mark.parametrize(
    ("annotation", "path", "reason"),
    [
        (Both, "Type.f", "has both"),
        (Misspelt, "Type.f", "undeclared = 'ignore': the only allowed value is \"drop\""),
        (dict[str, Dropping], "Type.f.*", "inside a JSON column are not counted"),
        (dict[str, Typed], "Type.f.*", "a TypedDict does not declare"),
        (dict[str, list[Data]], "Type.f.*[]", "a dataclass does not declare"),
    ],
)
def test_a_word_that_cannot_be_kept_is_refused(annotation: Any, path: str, reason: str) -> None:
    """A contradiction, a word that is not known, and a class in a JSON column of which nothing could be counted."""
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(declared(annotation))
    assert str(refusal.value).startswith(f"{path}: ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize("annotation", [Strict, Dropping, list[Strict], dict[str, Strict], Box[int] | None])
def test_a_struct_that_says_what_becomes_of_them_is_accepted(annotation: Any) -> None:
    """Either cure, inherited or not."""
    if annotation == Box[int] | None:
        annotation = msgspec.defstruct("Sealed", [("a", int)], bases=(Strict,))
    assert columns_of(declared(annotation))


@pytest.mark.parametrize(
    ("record", "dropped"),
    [
        ({}, 0),
        ({"a": 1, "unitPrice": "1.5", "one": None, "strict": {"a": 1}, "lines": [], "payload": {"x": 1}}, 0),
        ({"b": 1}, 1),
        ({"unit_price": "1.5", "undeclared": "drop"}, 2),
        ({"one": {"b": 1, "c": {"d": 1}}, "x": [1, 2]}, 3),
        ({"lines": [{"a": 1}, {"b": 1}, {"b": 2, "c": 3}]}, 3),
        ({"payload": {"b": {"c": 1}}}, 0),
    ],
)
def test_what_is_dropped_is_counted_at_the_level_where_it_is_dropped(record: dict[str, Any], dropped: int) -> None:
    """In nested Structs and lists of them, by the names that JSON has; what a JSON column holds is kept."""
    count = count_dropped(Extended)
    assert count is not None
    for spaced in (False, True):
        data = msgspec.json.encode(record)
        data = msgspec.json.format(data, indent=3) if spaced else data
        msgspec.json.decode(data, type=Extended)
        assert count(data) == dropped


def test_a_number_that_only_its_field_could_read_is_no_obstacle() -> None:
    """A Decimal beyond a float's range, and an undeclared number beyond any."""
    data = b'{"unitPrice":1e999,"huge":1e9999,"lines":[{"x":1e9999}]}'
    msgspec.json.decode(data, type=Extended)
    count = count_dropped(Extended)
    assert count is not None
    assert count(data) == 2


def test_a_type_that_drops_nothing_is_not_looked_at() -> None:
    """Counting costs only the types that drop."""
    assert count_dropped(Strict) is None
    count = count_dropped(Carrying)
    assert count is not None
    assert count(b'{"lines":[{"b":1}]}') == 1
