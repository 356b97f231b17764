"""Examples of records, made of their declarations."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from app.record import Record, load_record_type
from app.schema.example import example_record, example_row
from app.schema.table import Table, records_table, rejects_table


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

    code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]


@pytest.mark.parametrize(
    "table",
    [
        records_table(Record),
        records_table(Everything),
        records_table(load_record_type("examples.flights.record:Flight")),
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
    assert example_row(table.record, None) == {"code": "text"}


def test_a_row_without_a_record_has_plain_values_of_each_kind() -> None:
    """Of the column's type, so that the row fits its schema."""
    row = example_row(records_table(Everything).record, None)
    assert row["count"] == 1
    assert row["price"] == "12.5"
    assert row["inner"] == {"clock": "12:00:00", "note": "text"}
    assert row["names"] == []
