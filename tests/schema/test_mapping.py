from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.schema.columns import Column, Kind, Mode, Role, columns_of
from tests.schema.values import SAMPLES


class _Inner(msgspec.Struct, forbid_unknown_fields=True):
    total: Annotated[float, Meta(description="Sum.")]


def column(annotation: Any, **options: Any) -> Column:
    """Return the column of a field `f` of this type."""
    return columns_of(msgspec.defstruct("Type", [("f", annotation)], forbid_unknown_fields=True, **options))[0]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_type_becomes_a_column(name: str) -> None:
    """Every type of the design has one column, which is required, unless the type has null."""
    found = column(SAMPLES[name].annotation)
    assert (found.kind, found.mode) == (SAMPLES[name].kind, Mode.NULLABLE if name == "any" else Mode.REQUIRED)


@pytest.mark.parametrize(
    ("annotation", "kind", "mode"),
    [
        (str | None, Kind.STRING, Mode.NULLABLE),
        (Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="x")], Kind.INT64, Mode.NULLABLE),
        (list[str], Kind.STRING, Mode.REPEATED),
        (_Inner | None, Kind.STRUCT, Mode.NULLABLE),
        (Mapping[str, int], Kind.JSON, Mode.REQUIRED),
        (list[dict[str, int]], Kind.JSON, Mode.REPEATED),
    ],
    ids=str,
)
def test_a_column_is_nullable_or_repeated_as_declared(annotation: Any, kind: Kind, mode: Mode) -> None:
    """A Struct has columns of its own."""
    found = column(annotation)
    assert (found.kind, found.mode) == (kind, mode)
    assert [inner.name for inner in found.fields] == (["total"] if kind is Kind.STRUCT else [])


def test_a_field_with_a_default_is_nullable() -> None:
    """What a producer may leave out may be null, although the service stores the default."""

    class Type(msgspec.Struct, forbid_unknown_fields=True):
        count: int = 5
        items: list[int] = []

    assert [found.mode for found in columns_of(Type)] == [Mode.NULLABLE, Mode.REPEATED]


def test_renamed_fields_keep_both_names() -> None:
    """The column has JSON's name, and knows the attribute it is read from."""
    found = columns_of(msgspec.defstruct("Type", [("first_name", str)], rename="camel", forbid_unknown_fields=True))[0]
    assert (found.name, found.attribute) == ("firstName", "first_name")


def test_descriptions_and_roles_are_taken_from_either_side_of_optional() -> None:
    """Meta says the same inside and outside `| None`."""
    meta = Meta(description="How many.", extra={"sluice": ["filter", "aggregate"]})
    for annotation in (Annotated[int | None, meta], Annotated[int, meta] | None):
        found = column(annotation)
        assert found.description == "How many."
        assert found.roles == {Role.FILTER, Role.AGGREGATE}


def test_a_generic_struct_is_walked_with_its_arguments() -> None:
    """`list[Pair[int]]` has the columns of a Pair of ints."""
    from typing import Generic, TypeVar  # noqa: PLC0415 - for this test only

    item = TypeVar("item")

    class Pair(msgspec.Struct, Generic[item], forbid_unknown_fields=True):
        left: item
        right: item | None

    found = column(list[Pair[int]])
    assert [(inner.kind, inner.mode) for inner in found.fields] == [
        (Kind.INT64, Mode.REQUIRED),
        (Kind.INT64, Mode.NULLABLE),
    ]
