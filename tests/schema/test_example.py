"""Examples of records, made of their declarations."""

import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from app.record import Record, load_record_type
from app.schema.columns import INT64_MAX
from app.schema.example import example_record, example_row, template_record
from app.schema.pattern import matching_text
from app.schema.table import Table, records_table, rejects_table
from tests.schema.values import field_lists, struct_of


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A nested one."""

    clock: Annotated[time, Meta(tz=False)]
    note: str | None = None


class Everything(msgspec.Struct, forbid_unknown_fields=True):
    """A field of every kind, none with an example."""

    flag: bool
    count: Annotated[int, Meta(ge=5)]
    ratio: float
    price: Decimal
    text: str
    raw: bytes
    key: UUID
    at: Annotated[datetime, Meta(tz=True)]
    day: date
    tree: Any
    colour: Literal["red", "blue"]
    inner: Inner
    names: list[str]
    some: Annotated[list[Inner], Meta(min_length=1)]


class Constrained(msgspec.Struct, forbid_unknown_fields=True):
    """A field that no guess fits."""

    code: Annotated[str, Meta(pattern="^(?=b)[A-Z]{3}$")]
    total: int


@pytest.mark.parametrize(
    "table",
    [
        records_table(Record),
        records_table(Everything),
        records_table(load_record_type("sluice.local.flights.record:Flight")),
        rejects_table(),
    ],
    ids=lambda table: table.record_type.__name__,
)
def test_an_example_is_a_record_of_its_type(table: Table) -> None:
    """It can be posted as it stands; as a row it has every column."""
    example = example_record(table)
    assert example is not None
    msgspec.json.decode(msgspec.json.encode(example), type=table.record_type)
    row = example_row(table.columns, example)
    assert list(row) == [column.name for column in table.columns]
    assert row.items() >= example.items()


def test_a_declared_example_goes_first() -> None:
    """Whoever declares the type says it best."""
    assert example_record(records_table(Record)) == {
        "id": "order-1042",
        "timestamp": "2026-01-31T12:00:00Z",
        "source": "checkout",
        "data": {"total": 12.5},
    }


def test_where_nothing_can_be_guessed_there_is_no_example_of_a_record() -> None:
    """An example that is refused would be worse; a row is shown with the plainest values."""
    table = records_table(Constrained)
    assert example_record(table) is None
    assert template_record(table) == {"code": "<a text that matches ^(?=b)[A-Z]{3}$>", "total": 1}
    assert example_row(table.record, None) == {"code": "text", "total": 1}


def test_a_row_without_a_record_has_plain_values_of_each_kind() -> None:
    """Of the column's type, so that the row fits its schema."""
    row = example_row(records_table(Everything).record, None)
    assert row["count"] == 1
    assert row["price"] == "12.5"
    assert row["inner"] == {"clock": "12:00:00", "note": "text"}
    assert row["names"] == []


class Ruled(msgspec.Struct, forbid_unknown_fields=True):
    """A type with a rule in code."""

    first: int
    last: int

    def __post_init__(self) -> None:
        """Refuse in a way that msgspec does not know."""
        if self.first >= self.last:
            raise ZeroDivisionError


class Mistaken(msgspec.Struct, forbid_unknown_fields=True):
    """A type whose declared examples and defaults are wrong."""

    code: Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["Norway"])]
    size: Annotated[int, Meta(ge=3, examples=["three"])] = 1
    note: str = None  # type: ignore[assignment] # as people write it


def test_a_rule_in_code_leaves_a_template() -> None:
    """What the type's own code refuses is not shown as an example, whatever it raises."""
    assert example_record(records_table(Ruled)) is None
    assert template_record(records_table(Ruled)) == {"first": 1, "last": 1}


def test_wrong_declared_examples_are_replaced() -> None:
    """An example is a promise: one that the type refuses is derived from the constraints instead."""
    assert example_record(records_table(Mistaken)) == {"code": "AA", "size": 3, "note": "text"}


@pytest.mark.parametrize(
    ("pattern", "least", "most", "text"),
    [
        ("^[A-Z]{2}$", 0, None, "AA"),
        (r"^\d{4}-\d{2}-\d{2}-[0-9A-Z]{2}-\d{1,4}-[A-Z]{3}$", 0, 24, "1111-11-11-AA-1-AAA"),
        (r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$", 8, 100, "A@A.aaaa"),
        ("^(foo|barbaz)$", 6, 6, "barbaz"),
        (r"^(\w)-\1(?:x)?$", 0, None, "A-A"),
        ("[A-Z]", 5, 5, "Aaaaa"),
        ("^[Ä-Ö][^a]\\W.$", 0, None, "ÄA-a"),
        ("^a{2,}?b*+$", 4, 4, "aaaa"),
        ("^(?=b)a$", 0, None, None),
        ("^a{9}$", 10, None, None),
        ("^(a{60000}){60000}$", 0, None, None),
    ],
)
def test_a_text_for_a_pattern_is_plain_and_matches(
    pattern: str, least: int, most: int | None, text: str | None
) -> None:
    """It has the length that is allowed; where none is found easily there is none, and it takes no time."""
    assert matching_text(pattern, least, most) == text


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        (r"^(?=.*[A-Z])(?=.*\d).{8,}$", 0, None),
        ("^(?!A)[A-Z]{3}$", 0, None),
        ("^a.+(?<=z)$", 0, None),
        ("^(a|bb)(c|dd)$", 3, 3),
        ("^(a|b|c|d|e|fghij)$", 5, None),
    ],
)
def test_where_the_plainest_text_does_not_match_another_is_drawn(pattern: str, least: int, most: int | None) -> None:
    """Look-arounds, and lengths that only some choices reach; it is the same one every time."""
    text = matching_text(pattern, least, most)
    assert text is not None
    assert re.search(pattern, text)
    assert least <= len(text) <= (most or len(text))
    assert text == matching_text.__wrapped__(pattern, least, most)


_CHARACTERS = st.sampled_from(["a", "Z", "7", r"\.", "-", r"\d", r"\w", r"\s", "[A-F]", "[^a]", r"[\w.+-]", "."])
_PATTERNS = st.recursive(
    _CHARACTERS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=6).map(lambda each: f"(?:{'|'.join(each)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "+?"])).map(
            lambda each: f"({each[0]}){each[1]}"
        ),
    ),
    max_leaves=8,
)


@given(pattern=_PATTERNS, is_anchored=st.booleans())
def test_every_pattern_has_an_example(pattern: str, *, is_anchored: bool) -> None:
    """Of classes, choices and repetitions, in a record and as the keys of an object."""
    text = Annotated[str, Meta(pattern=f"^(?:{pattern})$" if is_anchored else pattern)]
    fields = [("text", text), ("keys", Annotated[dict[text, int], Meta(min_length=1)])]
    declared = msgspec.defstruct("Patterned", fields, forbid_unknown_fields=True)
    assert example_record(records_table(declared)) is not None


_BOUNDS = st.integers(-(10**6), 10**6)
_CONSTRAINED = st.one_of(
    st.tuples(_BOUNDS, _BOUNDS).map(lambda ends: Annotated[int, Meta(ge=min(ends), le=max(ends))]),
    _BOUNDS.map(lambda end: Annotated[int, Meta(gt=end)]),
    _BOUNDS.map(lambda end: Annotated[int, Meta(lt=end)]),
    st.integers(2, 99).map(lambda step: Annotated[int, Meta(ge=5, multiple_of=step)]),
    _BOUNDS.map(lambda end: Annotated[float, Meta(gt=end, lt=end + 1)]),
    _BOUNDS.map(lambda end: Annotated[float, Meta(lt=end)]),
    st.sampled_from([0.01, 0.1, 0.25, 3.3]).map(lambda step: Annotated[float, Meta(ge=0.2, multiple_of=step)]),
    st.integers(1, 12).map(
        lambda least: Annotated[dict[Annotated[str, Meta(max_length=1)], int], Meta(min_length=least)]
    ),
    st.tuples(st.integers(0, 40), st.integers(0, 9)).map(
        lambda ends: Annotated[str, Meta(min_length=ends[0], max_length=sum(ends))]
    ),
    st.tuples(st.integers(0, 40), st.integers(0, 9)).map(
        lambda ends: Annotated[bytes, Meta(min_length=ends[0], max_length=sum(ends))]
    ),
    st.integers(0, 5).map(lambda least: Annotated[list[Annotated[str, Meta(max_length=2)]], Meta(min_length=least)]),
    st.integers(0, 5).map(lambda least: Annotated[dict[str, int], Meta(min_length=least, max_length=least)]),
)


@given(st.lists(_CONSTRAINED, min_size=1, max_size=4))
def test_every_constraint_is_satisfied(annotations: list[Any]) -> None:
    """Of numbers, lengths and sizes, there is always an example, and it is valid."""
    fields = [(f"f{number}", each) for number, each in enumerate(annotations)]
    declared = msgspec.defstruct("Bound", fields, forbid_unknown_fields=True)
    assert example_record(records_table(declared)) is not None


@given(field_lists())
def test_a_random_type_has_an_example(fields: list[Any]) -> None:
    """Of nested types, lists, Optional, enums and the rest."""
    assert example_record(records_table(struct_of("Random", fields))) is not None


def test_an_example_is_of_64_bits() -> None:
    """What a store cannot hold is no example, even if the type allows it."""

    class Large(msgspec.Struct, forbid_unknown_fields=True):
        number: Annotated[int, Meta(gt=INT64_MAX - 1)]

    assert example_record(records_table(Large)) == {"number": INT64_MAX}
