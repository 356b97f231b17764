"""Examples of records, made of their declarations."""

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
from app.schema.example import example_record, example_row, template_record
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
    """A field with a pattern, and no example."""

    code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
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
    assert template_record(table) == {"code": "<a text that matches ^[A-Z]{3}$>", "total": 1}
    assert example_row(table.record, None) == {"code": "text", "total": 1}


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

    code: Annotated[str, Meta(max_length=2, examples=["Norway"])]
    size: Annotated[int, Meta(ge=3, examples=["three"])] = 1
    note: str = None  # type: ignore[assignment] # as people write it


def test_a_rule_in_code_leaves_a_template() -> None:
    """What the type's own code refuses is not shown as an example, whatever it raises."""
    assert example_record(records_table(Ruled)) is None
    assert template_record(records_table(Ruled)) == {"first": 1, "last": 1}


def test_wrong_declared_examples_are_replaced() -> None:
    """An example is a promise: one that the type refuses is derived from the constraints instead."""
    assert example_record(records_table(Mistaken)) == {"code": "te", "size": 3, "note": "text"}


_BOUNDS = st.integers(-(10**6), 10**6)
_CONSTRAINED = st.one_of(
    st.tuples(_BOUNDS, _BOUNDS).map(lambda ends: Annotated[int, Meta(ge=min(ends), le=max(ends))]),
    _BOUNDS.map(lambda end: Annotated[int, Meta(gt=end)]),
    _BOUNDS.map(lambda end: Annotated[int, Meta(lt=end)]),
    st.integers(2, 99).map(lambda step: Annotated[int, Meta(ge=5, multiple_of=step)]),
    _BOUNDS.map(lambda end: Annotated[float, Meta(gt=end, lt=end + 1)]),
    _BOUNDS.map(lambda end: Annotated[float, Meta(lt=end)]),
    st.sampled_from([0.25, 0.5, 3.0]).map(lambda step: Annotated[float, Meta(ge=0.2, multiple_of=step)]),
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
