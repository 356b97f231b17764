"""The rows that the repository carries, and the record types that describe them."""

from typing import Any

import msgspec
import pytest

from sluice.local.flights import board, load
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


def test_the_board_has_two_versions_of_each_flight() -> None:
    """Each is a record, and the later one says that the flight has left or was cancelled."""
    before, after = dict[str, board.Departure](), dict[str, board.Departure]()
    for version in board.versions():
        record = msgspec.convert(version, board.Departure)
        (after if record.id in before else before)[record.id] = record
    assert len(after) == len(before) == 900
    assert all(each.cancelled == (each.delay_min is None) for each in after.values())
    assert all(each.changed_time > before[flight].changed_time for flight, each in after.items())
