"""Suggested fields: a type that every value fits, how often a member occurs, and what cannot be declared."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schema.columns import columns_of
from app.schema.seen_members import SeenMember
from app.schema.suggestions import Observation, seen_text, suggestion_text
from app.schema.table import Table, records_table

_Rest = Annotated[dict[str, Any], msgspec.Meta(extra={"sluice": ["rest"]})]


class Stop(msgspec.Struct, rename="camel"):
    """A nested class that gives its fields other names."""

    flown_to: str = ""


class Leg(msgspec.Struct):
    """A nested class with a list."""

    stops: list[Stop] = []


class Trip(msgspec.Struct):
    """A type with a rest."""

    id: str
    leg: Leg | None = None
    rest: _Rest = {}


TRIPS = records_table(Trip)


def observed(*rests: dict[str, Any] | None, table: Table = TRIPS) -> Observation:
    """Return what these rests show."""
    found = Observation(table)
    for rest in rests:
        found.add(rest)
    return found


def declared(*values: Any) -> str:
    """Return the line suggested for a member with these values, without its comment."""
    text = suggestion_text(TRIPS, observed(*({"x": value} for value in values)), since="-P1D")
    (line,) = (line for line in text.splitlines() if line.startswith("    "))
    return line.strip().partition("  #")[0].replace("Annotated[", "").replace(", promoted]", "")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([True, None], "x: bool | None = None"),
        ([1, 2**60], "x: int | None = None"),
        ([1, 2.5], "x: float | None = None"),
        ([2**60, 2.5], "x: Any = None"),
        ([2**63], "x: Any = None"),
        ([2**62, -(2**63)], "x: Any = None"),
        (["a", "2026-01-31"], "x: str | None = None"),
        (["2026-01-31T12:00:00Z"], "x: datetime | None = None"),
        (["2026-01-31T12:00:00"], "x: str | None = None"),
        (["2026-01-31"], "x: date | None = None"),
        (["3f2504e0-4f89-11d3-9a0c-0305e82c3301"], "x: UUID | None = None"),
        ([{"a": 1}], "x: dict[str, Any] | None = None"),
        ([["a"], [], ["b"]], "x: list[str] = []"),
        ([[{"a": 1}]], "x: list[dict[str, Any]] = []"),
        ([["a", None]], "x: Any = None"),
        ([["a", 1]], "x: Any = None"),
        ([[[1]]], "x: Any = None"),
        ([[]], "x: Any = None"),
        ([None], "x: Any = None"),
        ([1, "a"], "x: Any = None"),
    ],
)
def test_a_suggested_type_holds_every_value(values: list[Any], line: str) -> None:
    """The narrowest that does; a JSON column if there is none."""
    assert declared(*values) == line


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.sampled_from(["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00"])
    | st.uuids().map(str)
)
_LIKE: list[st.SearchStrategy[Any]] = [
    _SCALARS,
    st.integers(-5, 2**60),
    st.lists(_SCALARS, max_size=2),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), _SCALARS, max_size=2),
]
_VALUES = st.sampled_from(_LIKE).flatmap(lambda each: st.lists(each, min_size=1, max_size=4))


@given(_VALUES)
def test_a_suggestion_can_be_declared_and_rejects_none_of_the_values(values: list[Any]) -> None:
    """As a field of a record type, with a column; nothing that was sent changes its meaning."""
    annotation = declared(*values).partition(": ")[2].partition(" = ")[0]
    type_ = eval(annotation, {"Any": Any, "datetime": datetime, "date": date, "UUID": UUID})  # noqa: S307 - the suggestion
    default: Any = [] if annotation.startswith("list[") else None
    record_type = msgspec.defstruct("Type", [("x", type_, default)], forbid_unknown_fields=True)
    assert columns_of(record_type)
    for value in values:
        if value is not None or default is None:
            msgspec.json.decode(msgspec.json.encode({"x": value}), type=record_type)


def test_members_are_suggested_for_the_class_that_lacks_them() -> None:
    """By class and frequency, with the counts; in a list, all its items together."""
    found = observed(
        {"gate": "D5", "leg": {"km": 1, "stops": [{}, {"gate": 1, "flown": 2}, {"gate": None}]}},
        {"gate": "D6", "class": 1},
        {},
        None,
    )
    assert suggestion_text(TRIPS, found, since="-P1D").splitlines() == [
        "# records: 2 of the 4 newest records since -P1D have undeclared members.",
        'promoted = Meta(extra={"sluice": ["promoted"]})  # older records show the value as well',
        "",
        "class Trip(…):",
        "    gate: Annotated[str | None, promoted] = None  # 2",
        '    class_: Annotated[int | None, promoted] = msgspec.field(default=None, name="class")  # 1',
        "",
        "class Leg(…):  # leg",
        "    km: int | None = None  # 1",
        "",
        "class Stop(…):  # leg.stops[]",
        '    gate: int | None = msgspec.field(default=None, name="gate")  # 2',
        '    flown: int | None = msgspec.field(default=None, name="flown")  # 1',
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.b", '# "a.b": 1; it stays in the rest: a column name must consist of'),
        ("ID", "# ID: 1; it stays in the rest: id has this name, in which case does not count"),
        ("ingest_time", "# ingest_time: 1; it stays in the rest: ingest_time has this name"),
        ("_change_x", "# _change_x: 1; it stays in the rest: the prefix is reserved"),
    ],
)
def test_a_name_that_no_column_can_have_stays_in_the_rest(name: str, reason: str) -> None:
    """With the reason."""
    assert reason in suggestion_text(TRIPS, observed({name: 1}), since="-P1D")


def test_what_does_not_fit_in_one_type_is_told() -> None:
    """By type, the most frequent first, without a value."""
    found = observed({"x": 1}, {"x": 1}, {"x": "secret"}, {"x": None}, {"y": None}, {"z": []})
    text = suggestion_text(TRIPS, found, since="-P1D")
    assert (
        "x: Annotated[Any, promoted] = None  # 4: no type but a JSON column holds all of int 2, str 1, null 1\n" in text
    )
    assert "y: Annotated[Any, promoted] = None  # 1: only null, so its type is unknown\n" in text
    assert "z: Annotated[Any, promoted] = None  # 1: only empty lists, so the type of the items is unknown\n" in text
    assert "secret" not in text


def test_the_number_of_members_is_bounded() -> None:
    """A producer may send names without end."""
    text = suggestion_text(TRIPS, observed({f"x{number}": 1 for number in range(503)}), since="-P1D")
    assert "\n# 3 more members have other names; there are more than 500.\n" in text
    assert text.count("int | None") == 500


def test_what_an_instance_has_seen_is_told_as_comments() -> None:
    """With what became of it."""
    text = seen_text([SeenMember("leg.gate", "rejected", 3)], 2)
    assert text.splitlines() == [
        "",
        "# Seen by one instance since it started:",
        "#   leg.gate  rejected 3",
        "#   and 2 with other names",
    ]
    assert seen_text([], 0).endswith("started: none.\n")
