import enum
import uuid
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest
from msgspec import Meta

from app.record import RecordTypeError
from app.schema.columns import MAX_DEPTH, columns_of
from app.schema.table import records_table


class _Custom:
    pass


class _HoldsCustom(msgspec.Struct):
    value: list[_Custom]


class _HoldsItself(msgspec.Struct):
    children: "list[_HoldsItself]"


class _Tagged(msgspec.Struct, tag="t"):
    a: int


class _ArrayLike(msgspec.Struct, array_like=True):
    a: int


class _OmitsDefaults(msgspec.Struct, omit_defaults=True):
    a: int = 1


class _Empty(msgspec.Struct):
    pass


class _Unset(msgspec.Struct):
    value: int | msgspec.UnsetType = msgspec.UNSET


class _Named(NamedTuple):
    a: int


class _MixedEnum(enum.Enum):
    A = "a"
    B = 1


_BIG_ENUM = enum.IntEnum("_BIG_ENUM", {"A": 2**63})
_NO_TYPE = "msgspec does not validate this type"


@pytest.mark.parametrize(
    ("annotation", "path", "reason"),
    [
        (tuple[int, str], "f", "the positions of a tuple have no names"),
        (tuple[int, ...], "f", "use list[…]"),
        (set[int], "f", "a set has no order"),
        (list[list[int]], "f[]", "does not support lists of lists"),
        (list[int | None], "f[]", "a BigQuery list cannot contain null"),
        (list[Any], "f[]", "a list of Any may contain null"),
        (list[int] | None, "f", "does not distinguish a missing list from an empty one"),
        (int | str, "f", "a column must have one type, not int | str"),
        (None, "f", "always null"),
        (timedelta, "f", "use seconds"),
        (_Custom, "f", _NO_TYPE),
        (object, "f", _NO_TYPE),
        (_HoldsCustom, "f.value[]", _NO_TYPE),
        (msgspec.Raw, "f", "Raw is not validated"),
        (bytearray, "f", "use bytes"),
        (_Named, "f", "use msgspec.Struct"),
        (_HoldsItself, "f.children[]", "_HoldsItself contains itself"),
        (_Tagged, "f", "remove tag="),
        (_ArrayLike, "f", "remove array_like=True"),
        (_OmitsDefaults, "f", "omit_defaults=True would store a default as NULL"),
        (_Empty, "f", "_Empty has no fields"),
        (Annotated[datetime, Meta(tz=False)], "f", "a time without an offset is ambiguous"),
        (Annotated[time, Meta(tz=True)], "f", "a TIME column has no offset"),
        (Literal["a", 1], "f", "all str or all int"),
        (dict[int, str], "f", "the keys of a JSON object are strings"),
        (dict[uuid.UUID, str], "f", "the keys of a JSON object are strings"),
        (dict[str, dict[int, int]], "f.*", "the keys of a JSON object are strings"),
        (dict[str, list[_Custom | None]], "f.*[]", _NO_TYPE),
        (dict[str, tuple[int, _Custom]], "f.*[1]", _NO_TYPE),
        (dict[str, _HoldsCustom], "f.*.value[]", _NO_TYPE),
        (int | msgspec.UnsetType, "f", "UNSET has no column value"),
        (Annotated[int | msgspec.UnsetType, Meta(description="x")], "f", "UNSET has no column value"),
        (list[_Unset], "f[].value", "UNSET has no column value"),
    ],
    ids=str,
)
def test_a_type_without_a_column_is_refused(annotation: Any, path: str, reason: str) -> None:
    """What no column holds is refused at start-up, with the field's path and the reason."""
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(msgspec.defstruct("Type", [("f", annotation)], forbid_unknown_fields=True))
    assert str(refusal.value).startswith(f"Type.{path}: ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("1st", "must not begin with a digit"),
        ("prix-total", "letters, digits and underscores"),
        ("", "letters, digits and underscores"),
        ("a" * 301, "letters, digits and underscores"),
        ("_TABLE_x", "the prefix is reserved"),
        ("_PARTITIONTIME", "the prefix is reserved"),
        ("__ROOT__x", "the prefix is reserved"),
        ("_sluice_is_copy", "the prefix is reserved"),
        ("_CHANGE_TYPE", "the prefix is reserved"),
    ],
)
def test_a_name_that_is_no_column_name_is_refused(name: str, reason: str) -> None:
    """A field whose name in JSON cannot be a column's is refused by that name."""
    declared = msgspec.defstruct("Type", [("f", int, msgspec.field(name=name))], forbid_unknown_fields=True)
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(declared)
    assert str(refusal.value).startswith(f"Type.{name}: ")
    assert reason in str(refusal.value)


@pytest.mark.parametrize("inside", [False, True])
def test_names_that_differ_only_in_case_are_refused(*, inside: bool) -> None:
    """Two columns whose names differ in case only are one to the store, at the top and inside a Struct."""
    twins = msgspec.defstruct("Twins", [("total", int), ("Total", int)], forbid_unknown_fields=True)
    outer = msgspec.defstruct("Type", [("f", list[twins])], forbid_unknown_fields=True)  # type: ignore[valid-type]
    with pytest.raises(RecordTypeError) as refusal:
        columns_of(outer if inside else twins)
    path = "Type.f[]" if inside else "Twins"
    assert str(refusal.value).startswith(f"{path}: total and Total differ only in case")


@pytest.mark.parametrize("name", ["ingest_time", "delivery_key", "Attributes", "MESSAGE_ID", "trace_id"])
def test_a_name_of_the_envelope_is_refused(name: str) -> None:
    """A record cannot declare a column that the service adds, in whatever case; a nested field can."""
    with pytest.raises(RecordTypeError, match=rf"^Type\.{name}: the service adds a column with this name"):
        records_table(msgspec.defstruct("Type", [(name, int)], forbid_unknown_fields=True))
    inner = msgspec.defstruct("Inner", [(name, int)], forbid_unknown_fields=True)
    table = records_table(msgspec.defstruct("Type", [("f", inner)], forbid_unknown_fields=True))
    assert table.record[0].fields[0].name == name


def _nested(levels: int) -> type[msgspec.Struct]:
    declared = msgspec.defstruct("Deepest", [("value", int)], forbid_unknown_fields=True)
    for level in range(levels):
        declared = msgspec.defstruct(f"Level{level}", [("f", declared)], forbid_unknown_fields=True)
    return declared


def test_too_deep_nesting_is_refused() -> None:
    """Structs may nest as deep as BigQuery's RECORDs and no deeper."""
    assert columns_of(_nested(MAX_DEPTH - 1))
    with pytest.raises(RecordTypeError, match=r"nested deeper than 15 levels, BigQuery's limit"):
        columns_of(_nested(MAX_DEPTH))


@pytest.mark.parametrize("annotation", [_MixedEnum, Literal[-(2**63) - 1], "Nothing"], ids=str)
def test_what_msgspec_refuses_is_refused_in_its_words(annotation: Any) -> None:
    """Values of several types or beyond 64 bits, a forward reference to nothing: as one line, not as a traceback."""
    with pytest.raises(RecordTypeError, match=r"^Type: msgspec does not support this declaration: .*(values|Nothing)"):
        columns_of(msgspec.defstruct("Type", [("f", annotation)], forbid_unknown_fields=True))
