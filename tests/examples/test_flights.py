"""The flights that the repository carries, and the record type that describes them."""

import gzip
import hashlib
import re
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from app.record import Envelope
from app.schema.columns import columns_of
from sluice.local.flights import load
from sluice.local.flights.record import Flight, Movement, Schedule
from sluice.local.flights.streams import Airport, Weather

README = load.DATA_PATH.with_name("README.md").read_text(encoding="utf-8")


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
    ids = set()
    for row in read():
        record = msgspec.json.decode(msgspec.json.encode(row), type=kind)
        served = {name: value for name, value in msgspec.to_builtins(record).items() if value is not None}
        assert served == row
        ids.add(row.get("id") or row["code"])
    assert f"{len(ids):,} {kind.__name__}" in README


def test_one_hour_is_read_in_utc() -> None:
    """The first row of the weather is one o'clock in New York."""
    assert msgspec.convert(next(load.weather_rows()), Weather) == Weather(
        id="EWR-2013-01-01T06:00Z",
        origin="EWR",
        observed_time=datetime(2013, 1, 1, 6, tzinfo=UTC),
        temperature_f=39.02,
        dew_point_f=26.06,
        humidity_percent=59.37,
        wind_direction_deg=270,
        wind_speed_mph=10.357019999999999,
        precipitation_in=0.0,
        pressure_hpa=1012.0,
        visibility_miles=10.0,
    )


def test_the_airports_are_those_of_the_flights(rows: list[dict[str, Any]]) -> None:
    """All where a flight begins or ends, in the order of their codes."""
    assert [row["code"] for row in load.airport_rows()] == sorted({row[e] for row in rows for e in _ENDS})


_ENDS = ("origin", "destination")


def test_the_time_zones_are_those_of_the_clocks_at_arrival(rows: list[dict[str, Any]]) -> None:
    """The clocks at both ends differ by the flight, by less than an hour on the ground at best, and by the zones."""
    ahead_min = defaultdict[str, list[int]](list)
    for row in rows:
        if "air_time_min" in row:
            left, landed = (time.fromisoformat(row["actual"][f"{end}_local"]) for end in ("departure", "arrival"))
            clocks_min = (landed.hour - left.hour) * 60 + landed.minute - left.minute
            ahead_min[row["destination"]].append((clocks_min - row["air_time_min"] + 720) % 1440 - 720)
    noon = datetime(2013, 1, 15, 12, tzinfo=UTC)
    in_new_york = noon.astimezone(ZoneInfo("America/New_York")).replace(tzinfo=None)
    stated = {}
    for row in load.airport_rows():
        here = noon.astimezone(ZoneInfo(row["time_zone"])).replace(tzinfo=None)
        stated[row["code"]] = (here - in_new_york) // timedelta(hours=1)
    assert {code: stated[code] for code in ahead_min} == {code: min(each) // 60 for code, each in ahead_min.items()}
    assert stated.keys() - ahead_min.keys() == {"EWR", "JFK", "LGA"}


def test_the_count_is_the_one_stated(rows: list[dict[str, Any]]) -> None:
    """The README's figures are those of the file."""
    cancelled = sum(row["cancelled"] for row in rows)
    assert f"{len(rows):,} real flights, {cancelled} of them cancelled" in README
    assert len(rows) >= 25_000


def test_an_id_names_one_flight(rows: list[dict[str, Any]]) -> None:
    """No two rows share an id."""
    assert len({row["id"] for row in rows}) == len(rows)


def test_one_row_means_what_the_timetable_says(rows: list[dict[str, Any]]) -> None:
    """The first row is read as the flight it was, with its departure in UTC."""
    assert msgspec.convert(rows[0], Flight, strict=False) == Flight(
        id="2013-01-01-UA-1545-EWR",
        flight_date=date(2013, 1, 1),
        departure_time=datetime(2013, 1, 1, 10, 15, tzinfo=UTC),
        schedule=Schedule(departure_local=time(5, 15), arrival_local=time(8, 19)),
        actual=Movement(departure_local=time(5, 17), arrival_local=time(8, 30)),
        carrier="UA",
        flight_number=1545,
        tail_number="N14228",
        origin="EWR",
        destination="IAH",
        departure_delay_min=2,
        arrival_delay_min=11,
        air_time_min=227,
        distance_miles=1400,
        cancelled=False,
    )


@pytest.mark.parametrize(
    ("hhmm", "expected"),
    [("5", time(0, 5)), ("515", time(5, 15)), ("2359", time(23, 59)), ("2400", time(0, 0))],
)
def test_a_clock_time_is_read_as_the_source_writes_it(hhmm: str, expected: time) -> None:
    """Times are written without a colon, and midnight as 2400."""
    assert load.clock_time(hhmm) == expected


def test_every_field_is_described_and_none_is_reserved() -> None:
    """Each field of a record says what it is, and leaves the envelope's names alone."""
    for kind in (Flight, Weather, Airport):
        columns = columns_of(kind)
        assert [column.name for column in columns if not column.description] == []
        assert {column.name for column in columns}.isdisjoint(Envelope.__struct_fields__)


def test_the_checksums_are_the_ones_stated() -> None:
    """The README states the checksum of each compressed file, and of the CSV inside it."""
    files = [path.read_bytes() for path in (load.DATA_PATH, load.WEATHER_PATH)]
    stated = set(re.findall(r"`([0-9a-f]{64})`", README))
    made = {hashlib.sha256(each).hexdigest() for file in files for each in (file, gzip.decompress(file))}
    assert made < stated
