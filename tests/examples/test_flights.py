"""The rows that the repository carries, and the record types that describe them."""

from typing import Any

import msgspec
import pytest

from sluice.local.flights import load
from sluice.local.flights.record import Flight
from sluice.local.flights.streams import Airport, Weather


def without_nulls(value: Any) -> Any:
    """Return what was decoded without the members that were not said."""
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return value


@pytest.mark.parametrize(
    ("read", "kind"), [(load.rows, Flight), (load.weather_rows, Weather), (load.airport_rows, Airport)]
)
def test_every_row_is_a_record(read: Any, kind: type[msgspec.Struct]) -> None:
    """Each row, as JSON, decodes as its type and says neither more nor less; no two share an id."""
    rows = list(read())
    for row in rows:
        record = msgspec.json.decode(msgspec.json.encode(row), type=kind)
        assert without_nulls(msgspec.to_builtins(record)) == row
    assert len({row.get("id") or row["code"] for row in rows}) == len(rows) > 0
