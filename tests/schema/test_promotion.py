"""Which fields can have the role `promoted`, and what the refusal of the others says."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from app.record import RecordTypeError
from app.schema.table import records_table, schema_version

_PROMOTED = Meta(extra={"sluice": ["promoted"]})
_REST: Any = ("rest", Annotated[dict[str, Any], Meta(extra={"sluice": ["rest"]})], {})


class Leg(msgspec.Struct, forbid_unknown_fields=True):
    """A nested class."""

    gate: str | None = None


class MarkedLeg(msgspec.Struct, forbid_unknown_fields=True):
    """A nested class with the role."""

    gate: Annotated[str | None, _PROMOTED] = None


_OTHERS: list[tuple[Any, Any]] = [
    *((each | None, None) for each in (Leg, dict[str, Any], Decimal, bytes, date, UUID)),
    (Any, None),
    (list[str], []),
]


def declare(*fields: Any, rest: bool = True) -> type[msgspec.Struct]:
    """Return a record type with these fields."""
    declared = [("id", str), *fields, *([_REST] if rest else [])]
    return msgspec.defstruct("Type", declared, kw_only=True, forbid_unknown_fields=not rest)


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (("x", Annotated[str, _PROMOTED]), "Type.x: a promoted field must be optional"),
        *(
            (
                ("x", Annotated[type_, _PROMOTED], default),
                "Type.x: only bool, int, float, str and datetime can be promoted; remove the role: the field begins",
            )
            for type_, default in _OTHERS
        ),
        (("x", MarkedLeg | None, None), "Type.x.gate: only a field of the record type itself"),
        (
            ("x", Annotated[str | None, Meta(extra={"sluice": ["promoted", "pii:hash"]})], None),
            "Type.x: older records hold the value in their rest, where pii:hash does not apply",
        ),
        (
            ("x", Annotated[str, Meta(extra={"sluice": ["promoted", "id"]})]),
            "Type.x: a promoted field must be optional",
        ),
    ],
)
def test_a_field_that_cannot_be_promoted_is_refused(field: Any, told: str) -> None:
    """By its path, with the cure."""
    with pytest.raises(RecordTypeError) as refusal:
        records_table(declare(field))
    assert str(refusal.value).startswith(told)


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
