"""Examples of records, made of their declarations."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from app.schema.record_json import draft_record, example_record, example_row
from app.schema.table import Table, records_table, rejects_table
from tests.schema.values import SAMPLES, forms_of, struct_of

# The JSON Schema of a time that may have an offset does not say that it is one.
EVERYTHING = struct_of("Everything", forms_of(SAMPLES.keys() - {"time"}))


@pytest.mark.parametrize(
    "table",
    [records_table(EVERYTHING), rejects_table()],
    ids=lambda table: table.record_type.__name__,
)
def test_an_example_is_a_record_of_its_type(table: Table) -> None:
    """It can be posted as it stands; as a row it has every column."""
    example = example_record(table)
    assert example is not None
    msgspec.json.decode(msgspec.json.encode(example), type=table.record_type)
    row = example_row(table)
    assert list(row) == [column.name for column in table.columns]
    assert row.items() >= example.items()


class Ruled(msgspec.Struct, forbid_unknown_fields=True):
    """A type with a rule in code."""

    first: int
    last: int

    def __post_init__(self) -> None:
        """Refuse in a way that msgspec does not know."""
        if self.first >= self.last:
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("declared", "draft"),
    [
        (Ruled, {"first": 1, "last": 1}),
        (msgspec.defstruct("Code", [("a", Annotated[str, Meta(pattern="^[A-Z]{3}$")])]), {"a": "text"}),
        (msgspec.defstruct("Wrong", [("a", Annotated[int, Meta(examples=["three"])])]), {"a": "three"}),
    ],
)
def test_an_example_that_would_be_rejected_is_a_draft(declared: type[msgspec.Struct], draft: Any) -> None:
    """An example that is refused would be worse than none; a row is shown with the plainest values."""
    declared = msgspec.defstruct(declared.__name__, [], bases=(declared,), forbid_unknown_fields=True)
    table = records_table(declared)
    assert example_record(table) is None
    assert draft_record(table) == draft
    assert example_row(table).items() >= draft.items()
