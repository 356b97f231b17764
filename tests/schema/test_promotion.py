"""Which fields can have the role `promoted`, and what the refusal of the others says."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.record import RecordTypeError
from app.schema.promotion import MOST, MOST_LISTS
from app.schema.table import records_table, schema_version

_PROMOTED = Meta(extra={"sluice": ["promoted"]})
_REST: Any = ("rest", Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})], {})


class Leg(msgspec.Struct):
    """A nested class."""

    gate: str | None = None


class MarkedLeg(msgspec.Struct):
    """A nested class with the role."""

    gate: Annotated[str | None, _PROMOTED] = None


def declare(*fields: Any, rest: bool = True) -> type[msgspec.Struct]:
    """Return a record type with these fields."""
    declared = [("id", str), *fields, *([_REST] if rest else [])]
    return msgspec.defstruct("Type", declared, kw_only=True, forbid_unknown_fields=not rest)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (("x", Annotated[str, _PROMOTED]), "Type.x: a promoted field must be optional or a list"),
        (("x", Annotated[Leg | None, _PROMOTED], None), "Type.x: a Struct cannot be promoted"),
        (("x", Annotated[dict[str, int] | None, _PROMOTED], None), "Type.x: only Any and dict[str, Any]"),
        (("x", MarkedLeg | None, None), "Type.x.gate: only a field of the record type itself"),
        (
            ("x", Annotated[str | None, Meta(extra={"sluice": ["promoted", "pii:hash"]})], None),
            "Type.x: older records hold the value in their rest, where pii:hash does not apply",
        ),
        (
            ("x", Annotated[str, Meta(extra={"sluice": ["promoted", "id"]})]),
            "Type.x: a promoted field must be optional or a list",
        ),
    ],
)
def test_a_field_that_cannot_be_promoted_is_refused(field: Any, told: str) -> None:
    """By its path, with the cure."""
    with pytest.raises(RecordTypeError) as refusal:
        records_table(declare(field))
    assert str(refusal.value).startswith(told)


@pytest.mark.parametrize(
    ("type_", "most", "told"),
    [
        (str | None, MOST, "21 fields are promoted, and every query of the rest grows with each; at most 20 can be"),
        (list[str], MOST_LISTS, "6 lists are promoted, and every query of the rest grows with each; at most 5 can be"),
    ],
)
def test_no_more_are_promoted_than_a_query_can_bear(type_: Any, most: int, told: str) -> None:
    """A type with the most is fine; the role may go once the older records have."""
    default: Any = None if most == MOST else msgspec.field(default_factory=list)
    fields = [(f"x{number}", Annotated[type_, _PROMOTED], default) for number in range(most + 1)]
    records_table(declare(*fields[:most]))
    with pytest.raises(RecordTypeError) as refusal:
        records_table(declare(*fields))
    assert told in str(refusal.value)


def test_a_type_without_a_rest_has_nothing_to_promote() -> None:
    """The message says which role is missing."""
    with pytest.raises(RecordTypeError, match=r"^Type\.x: there is no rest to promote it from"):
        records_table(declare(("x", Annotated[str | None, _PROMOTED], None), rest=False))


def test_the_role_changes_the_version_of_the_rows() -> None:
    """It changes what is read of older rows, so answers that were kept without it are out of date."""
    plain, promoted = (
        records_table(declare(("x", type_, None))) for type_ in (str | None, Annotated[str | None, _PROMOTED])
    )
    assert schema_version(plain) != schema_version(promoted)
    assert [column.name for column in promoted.promoted] == ["x"]
