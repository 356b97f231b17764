import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from app.record import RecordTypeError
from app.schema.columns import Kind
from app.schema.filters import FilterField, filter_table
from app.schema.table import records_table

_ID = Meta(extra={"sluice": ["id"]})
_DELETED = Meta(extra={"sluice": ["deleted"]})
_SEQUENCE = Meta(extra={"sluice": ["sequence"]})
_FILTER = Meta(extra={"sluice": ["filter"]})
_AGGREGATE = Meta(extra={"sluice": ["aggregate"]})


def _declare(*fields: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Type", [*fields], kw_only=True, forbid_unknown_fields=True)


_Nested = msgspec.defstruct("Nested", [("key", Annotated[str, _ID])], forbid_unknown_fields=True)
_Plain = msgspec.defstruct("Plain", [("key", str)], forbid_unknown_fields=True)
_Filtered = msgspec.defstruct("Filtered", [("key", Annotated[str, _FILTER])], forbid_unknown_fields=True)


@pytest.mark.parametrize("annotation", [str, int, uuid.UUID, Literal["a"]])
def test_the_id_is_a_required_scalar_at_the_top(annotation: Any) -> None:
    """The field with the role `id` is the table's id; without one there is none."""
    found = records_table(_declare(("a", int), ("key", Annotated[annotation, _ID])))
    assert found.id is not None
    assert found.id.name == "key"
    assert records_table(_declare(("a", int))).id is None


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ([("key", Annotated[str | None, _ID])], "Type.key"),
        ([("key", Annotated[str, _ID], "x")], "Type.key"),
        ([("key", Annotated[float, _ID])], "Type.key"),
        ([("key", Annotated[list[str], _ID])], "Type.key"),
        ([("inner", _Nested)], "Type.inner.key"),
        ([("inner", list[_Nested])], "Type.inner.key"),  # type: ignore[valid-type] # made at run time
    ],
)
def test_an_id_that_cannot_be_looked_up_is_refused(fields: list[Any], path: str) -> None:
    """An optional, nested, repeated or inexact id is refused by its path."""
    with pytest.raises(RecordTypeError) as refusal:
        records_table(_declare(*fields))
    assert str(refusal.value) == f"{path}: the id must be a required str, UUID or int at the top level"


def test_two_ids_are_refused() -> None:
    """A record has one id, and both candidates are named."""
    with pytest.raises(
        RecordTypeError, match=r"^Type: at most one field may have the role id, not 2 \(a, inner\.key\)"
    ):
        records_table(_declare(("a", Annotated[int, _ID]), ("inner", _Nested)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([("id", Annotated[str, _ID]), ("a", Annotated[str, _DELETED])], "a: the mark of tombstones must be a bool"),
        (
            [("id", Annotated[str, _ID]), ("a", Annotated[list[bool], _DELETED])],
            "a: the mark of tombstones must be a bool",
        ),
        ([("id", Annotated[str, _ID]), ("a", Annotated[float, _SEQUENCE])], "a: the sequence must be an int or"),
        ([("a", Annotated[bool | None, _DELETED])], "a: without an id there are no versions; give one field"),
        ([("a", Annotated[int, _SEQUENCE])], "a: without an id there are no versions; give one field"),
    ],
)
def test_a_role_of_versions_that_cannot_be_played_is_refused(fields: list[Any], reason: str) -> None:
    """By the field's path, with what would be right."""
    with pytest.raises(RecordTypeError, match=rf"^Type\.{reason}"):
        records_table(_declare(*fields))


def test_the_roles_of_versions_are_found() -> None:
    """An optional flag marks tombstones, an int or an instant ranks versions."""
    flag = ("gone", Annotated[bool | None, _DELETED])
    found = records_table(_declare(("id", Annotated[str, _ID]), flag, ("at", Annotated[datetime | None, _SEQUENCE])))
    assert found.deleted is not None
    assert found.sequence is not None
    assert (found.deleted.name, found.sequence.name) == ("gone", "at")


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ([("a", Annotated[list[str], _FILTER])], "a", "a list or a Struct cannot be compared"),
        ([("a", Annotated[_Plain, _FILTER])], "a", "a list or a Struct cannot be compared"),
        ([("a", list[_Filtered])], "a", "fields inside a list cannot be compared"),  # type: ignore[valid-type]
        ([("limit", Annotated[int, _FILTER])], "limit", "a parameter has the same name"),
        ([("since", Annotated[int, _AGGREGATE])], "since", "a parameter has the same name"),
    ],
)
def test_a_role_that_cannot_be_played_is_refused(fields: list[Any], path: str, reason: str) -> None:
    """A role without effect, or one that collides with a parameter, is refused rather than ignored."""
    declared = msgspec.defstruct("Type", fields, forbid_unknown_fields=True)
    with pytest.raises(RecordTypeError, match=rf"^Type\.{path}: {reason}"):
        filter_table(records_table(declared))


def test_a_nested_field_is_filtered_by_its_path() -> None:
    """A field of a Struct keeps its role under a dotted path, even when a parameter has its last name."""
    limit = Annotated[float, Meta(extra={"sluice": ["filter", "aggregate"]})]
    inner = msgspec.defstruct("Inner", [("limit", limit)], forbid_unknown_fields=True)
    found = filter_table(records_table(_declare(("fare", inner | None))))["fare.limit"]
    assert found == FilterField(
        path="fare.limit",
        kind=Kind.FLOAT64,
        operators=("eq", "ne", "lt", "lte", "gt", "gte", "in", "isnull"),
        groupable=True,
        aggregable=True,
    )


def test_a_role_of_aggregation_is_no_filter() -> None:
    """`aggregate` alone offers no operators, sums numbers and groups by what is scalar."""
    fields = [("n", Annotated[int, _AGGREGATE]), ("s", Annotated[str, _AGGREGATE]), ("j", Annotated[Any, _AGGREGATE])]
    found = filter_table(records_table(_declare(*fields)))
    assert [(found[name].operators, found[name].groupable, found[name].aggregable) for name in "nsj"] == [
        ((), True, True),
        ((), True, False),
        ((), False, False),
    ]
