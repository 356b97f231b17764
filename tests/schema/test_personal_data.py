"""Declarations of personal data: which can be, and which are refused."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.record import RecordTypeError
from app.schema.filters import HashedField, checked_table, filter_table
from app.schema.protection import Hasher, compile_protection
from app.schema.table import records_table

_HASH, _REDACT, _DROP = ({"sluice": [f"pii:{word}"]} for word in ("hash", "redact", "drop"))


def _declare(*fields: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Type", [("a", int), *fields], forbid_unknown_fields=True)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Annotated[int, Meta(extra=_HASH)], "pii:hash makes a text: declare str"),
        (Annotated[dict[str, Any], Meta(extra=_HASH)], "pii:hash makes a text: declare str"),
        (Annotated[int, Meta(extra=_REDACT)], "pii:redact needs a value to store instead"),
        (Annotated[str, Meta(extra={"sluice": ["pii:hash", "pii:drop"]})], "pii:drop and pii:hash exclude each other"),
        (Annotated[str, Meta(extra={"sluice": ["pii:drop", "filter"]})], "the field cannot have the role filter"),
        (Annotated[str, Meta(extra={"sluice": ["id", "pii:redact"]})], "the field cannot have the role id"),
        (dict[str, Annotated[str, Meta(extra=_HASH)]], "personal data inside a JSON column cannot be found"),
    ],
    ids=str,
)
def test_what_cannot_be_protected_is_refused(annotation: Any, reason: str) -> None:
    """At start-up, at the field's path, with what would be right."""
    with pytest.raises(RecordTypeError, match=r"^Type\.f") as refusal:
        checked_table(_declare(("f", annotation)))
    assert reason in str(refusal.value)


def test_a_struct_of_which_nothing_remains_is_refused() -> None:
    """A table needs a column, and a STRUCT a field."""
    dropped = [("x", Annotated[str, Meta(extra=_DROP)])]
    inner = msgspec.defstruct("Inner", dropped, forbid_unknown_fields=True)
    with pytest.raises(RecordTypeError, match=r"^Type\.f: every field is dropped; there is nothing to store$"):
        records_table(_declare(("f", inner)))
    with pytest.raises(RecordTypeError, match=r"^Inner: every field is dropped; there is nothing to store$"):
        records_table(inner)


def test_a_dropped_field_has_no_column_and_a_hashed_one_is_text() -> None:
    """The others keep their columns, nested ones too."""
    inner = msgspec.defstruct(
        "Inner",
        [("x", Annotated[str, Meta(extra=_DROP)]), ("y", Annotated[str | None, Meta(extra=_HASH)])],
        forbid_unknown_fields=True,
    )
    table = records_table(_declare(("f", inner), ("g", Annotated[dict[str, Any], Meta(extra=_DROP)])))
    assert [column.name for column in table.record] == ["a", "f"]
    assert [(column.name, column.kind.value, column.mode.value) for column in table.record[1].fields] == [
        ("y", "STRING", "NULLABLE")
    ]


def test_a_hashed_field_is_compared_for_equality_only() -> None:
    """With the hasher of its table; without one the field is only described."""
    declared = _declare(("f", Annotated[str, Meta(extra={"sluice": ["pii:hash", "filter", "aggregate"]})]))
    described = filter_table(records_table(declared))["f"]
    field = filter_table(records_table(declared, hasher=Hasher("s" * 32)))["f"]
    assert described.operators == field.operators == ("eq", "ne", "in", "isnull")
    assert field.groupable
    assert isinstance(field, HashedField)
    assert not isinstance(described, HashedField)


def test_records_that_would_need_a_secret_are_not_read_without_one() -> None:
    """A table that only describes cannot store."""
    with pytest.raises(ValueError, match="there is no secret to hash with"):
        compile_protection(records_table(_declare(("f", Annotated[str, Meta(extra=_HASH)]))))
