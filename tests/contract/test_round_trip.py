from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stores.sink import Stored
from tests.contract.stores import Engine, law
from tests.contract.way import Way, exact
from tests.schema.values import Field, every_form, field_lists, instances, struct_of

Everything = struct_of("Everything", every_form())
"""A field of every type in every form."""


@pytest.fixture(scope="module")
def everything(engine: Engine) -> Iterator[Way]:
    """Give one store to all examples; each has its own message."""
    way = Way(engine, Everything)
    yield way
    way.close()


def _assert_unchanged(way: Way, records: list[msgspec.Struct]) -> None:
    outcome, rows = way.there([msgspec.json.encode(record) for record in records])
    assert outcome == Stored()
    assert [exact(way.back(row)) for row in rows] == [exact(record) for record in records]


def test_a_record_of_every_type_is_served_as_it_was_sent(engine: Engine, everything: Way) -> None:
    """Any values of any types come back from the store, and through the served JSON, unchanged."""

    @law(engine)
    @given(st.lists(instances(Everything, every_form()), min_size=1, max_size=2))
    def holds(records: list[msgspec.Struct]) -> None:
        _assert_unchanged(everything, records)

    holds()


def test_any_declaration_is_served_as_it_was_sent(engine: Engine) -> None:
    """Whatever Structs, lists and Optionals a declaration nests, every value is kept in its place."""

    @law(engine)
    @given(field_lists(), st.data())
    def holds(fields: list[Field], data: st.DataObject) -> None:
        drawn = struct_of("Drawn", fields)
        records = data.draw(st.lists(instances(drawn, fields), min_size=1, max_size=3))
        way = Way(engine, drawn)
        try:
            _assert_unchanged(way, records)
        finally:
            way.close()

    holds()
