"""What msgspec refuses in a declaration: every part, by its path, with the spelling that works."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from app.record import RecordTypeError
from app.schema.columns import columns_of
from app.schema.filters import checked_table


@pytest.mark.parametrize(
    ("annotation", "path", "spelling"),
    [
        (Annotated[float | None, Meta(ge=0)], "f", "Annotated[float, Meta(ge=0)] | None"),
        (Annotated[datetime | None, Meta(tz=True)], "f", "Annotated[datetime, Meta(tz=True)] | None"),
        (Annotated[list[int] | None, Meta(min_length=1)], "f", "Annotated[list[int], Meta(min_length=1)] | None"),
        (
            dict[str, Annotated[dict[str, Any] | None, Meta(max_length=1)]],
            "f.*",
            "Annotated[dict[str, Any], Meta(max_length=1)] | None",
        ),
    ],
    ids=str,
)
def test_a_constraint_on_a_value_or_none_is_refused_with_the_spelling_that_works(
    annotation: Any, path: str, spelling: str
) -> None:
    """The constraint belongs to the value that may be None, and the refusal spells that out."""
    with pytest.raises(RecordTypeError, match="None cannot have the constraint") as refusal:
        columns_of(msgspec.defstruct("Type", [("f", annotation)], forbid_unknown_fields=True))
    assert str(refusal.value).startswith(f"Type.{path}: ")
    assert str(refusal.value).endswith(spelling)


def test_the_spelling_of_the_refusal_is_one_that_works() -> None:
    """The declaration that the message suggests has a column, which may be null."""
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(msgspec.defstruct("Type", [("f", Annotated[float | None, Meta(ge=0)])]))
    suggested = refusal.value.faults[0].partition("write ")[2]
    annotation = eval(suggested, {"Annotated": Annotated, "Meta": Meta, "float": float})  # noqa: S307 - the message
    (column,) = columns_of(msgspec.defstruct("Type", [("f", annotation)], forbid_unknown_fields=True))
    assert (column.kind.value, column.mode.value) == ("FLOAT64", "NULLABLE")


def test_a_constraint_on_the_wrong_type_is_refused_at_its_field() -> None:
    """A constraint that no spelling could save is refused in msgspec's words, at the field's path."""
    inner = msgspec.defstruct("Inner", [("a", Annotated[bool, Meta(ge=0)])], forbid_unknown_fields=True)
    for annotation in (inner, inner | None, list[inner]):  # type: ignore[valid-type]
        with pytest.raises(RecordTypeError, match=r"^Type\.f(\[\])?\.a: .*Can only set `ge` on a numeric type"):
            columns_of(msgspec.defstruct("Type", [("f", annotation)], forbid_unknown_fields=True))


_FAULTY: dict[str, Any] = {
    "optional": Annotated[float | None, Meta(ge=0)],
    "tuple": tuple[int, str],
    "role": Annotated[int, Meta(extra={"sluice": ["primary"]})],
    "unset": int | msgspec.UnsetType,
    "message_id": int,
    "limit": Annotated[int, Meta(extra={"sluice": ["filter"]})],
    "tuples": Annotated[list[tuple[int, str]], Meta(description="x")],
    "nullable_id": Annotated[str | None, Meta(extra={"sluice": ["id"]})],
}


@given(st.lists(st.sampled_from([*_FAULTY]), unique=True), st.booleans())
def test_every_fault_of_a_type_is_reported_at_once(names: list[str], silent: bool) -> None:  # noqa: FBT001 - drawn
    """A type with n faults names n paths, each once, whichever check finds them."""
    fields = [("sound", int), *((name, _FAULTY[name]) for name in names)]
    declared = msgspec.defstruct("Type", fields, forbid_unknown_fields=not silent)
    expected = {f"Type.{name}" for name in names} | ({"Type"} if silent else set())
    if not expected:
        assert checked_table(declared).name == "records"
        return
    with pytest.raises(RecordTypeError) as refusal:
        checked_table(declared)
    assert {fault.partition(": ")[0].removesuffix("[]") for fault in refusal.value.faults} == expected
    assert len(refusal.value.faults) == len(expected)
    assert all(fault in str(refusal.value) for fault in refusal.value.faults)
