"""The flights that the repository carries, and the record type that describes them."""

from typing import Any

import msgspec
import pytest

from sluice.local.flights import load
from sluice.local.flights.record import Flight
from sluice.local.flights.streams import Airport, Weather


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Return the committed flights, read once."""
    return list(load.rows())


def test_every_row_is_a_flight(rows: list[dict[str, Any]]) -> None:
    """Each row, as JSON, decodes as a Flight and says neither more nor less than the row."""
    for row in rows:
        flight = msgspec.json.decode(msgspec.json.encode(row), type=Flight)
        served = {name: value for name, value in msgspec.to_builtins(flight).items() if value is not None}
        if "actual" in served:
            served["actual"] = {name: value for name, value in served["actual"].items() if value is not None}
        assert served == row


@pytest.mark.parametrize(("read", "kind"), [(load.weather_rows, Weather), (load.airport_rows, Airport)])
def test_every_row_of_the_other_streams_is_a_record(read: Any, kind: type[msgspec.Struct]) -> None:
    """Each row, as JSON, decodes as its type and says neither more nor less; no two share an id."""
    ids, rows = set(), list(read())
    for row in rows:
        record = msgspec.json.decode(msgspec.json.encode(row), type=kind)
        served = {name: value for name, value in msgspec.to_builtins(record).items() if value is not None}
        assert served == row
        ids.add(row.get("id") or row["code"])
    assert len(ids) == len(rows) > 0
