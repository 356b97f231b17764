"""Read the committed flights, weather and airports, as JSON objects ready to be published."""

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

DATA_PATH = Path(__file__).with_name("flights.csv.gz")
WEATHER_PATH, AIRPORTS_PATH = DATA_PATH.with_name("weather.csv.gz"), DATA_PATH.with_name("airports.csv")
YEAR, MONTH = 2013, 1
NEW_YORK_IN_JANUARY = timezone(timedelta(hours=-5), "EST")


def rows(path: Path = DATA_PATH) -> Iterator[dict[str, Any]]:
    """Yield each flight as a JSON object (only str, int, bool and nested objects), day by day."""
    yield from map(flight_object, _csv_rows(path))


def weather_rows(path: Path = WEATHER_PATH) -> Iterator[dict[str, Any]]:
    """Yield each observation of the weather as a JSON object, airport by airport, hour by hour."""
    yield from map(_weather_object, _csv_rows(path))


def airport_rows(path: Path = AIRPORTS_PATH) -> Iterator[dict[str, Any]]:
    """Yield each airport as a JSON object, by its code."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def flight_object(row: dict[str, str]) -> dict[str, Any]:
    """Return the JSON object of one CSV row; what the source does not know is left out, not null."""
    flight_date = date(YEAR, MONTH, int(row["day"]))
    departure = clock_time(row["sched_dep_time"])
    departure_time = datetime.combine(flight_date, departure, NEW_YORK_IN_JANUARY).astimezone(UTC)
    cancelled = row["dep_time"] == ""
    flight: dict[str, Any] = {
        "id": f"{flight_date}-{row['carrier']}-{row['flight']}-{row['origin']}",
        "flight_date": flight_date.isoformat(),
        "departure_time": departure_time.isoformat().replace("+00:00", "Z"),
        "schedule": {
            "departure_local": departure.isoformat(),
            "arrival_local": clock_time(row["sched_arr_time"]).isoformat(),
        },
        "carrier": row["carrier"],
        "flight_number": int(row["flight"]),
        "origin": row["origin"],
        "destination": row["dest"],
        "distance_miles": int(row["distance"]),
        "cancelled": cancelled,
    }
    if not cancelled:
        flight["actual"] = {"departure_local": clock_time(row["dep_time"]).isoformat()}
        if row["arr_time"]:
            flight["actual"]["arrival_local"] = clock_time(row["arr_time"]).isoformat()
    if row["tailnum"]:
        flight["tail_number"] = row["tailnum"]
    for field, column in (
        ("departure_delay_min", "dep_delay"),
        ("arrival_delay_min", "arr_delay"),
        ("air_time_min", "air_time"),
    ):
        if row[column]:
            flight[field] = int(row[column])
    return flight


def clock_time(hhmm: str) -> time:
    """Return the time of day that the source writes as `515` (5:15); its `2400` is midnight."""
    hour, minute = divmod(int(hhmm), 100)
    return time(hour % 24, minute)


def _weather_object(row: dict[str, str]) -> dict[str, Any]:
    hour = datetime(YEAR, MONTH, int(row["day"]), int(row["hour"]), tzinfo=NEW_YORK_IN_JANUARY).astimezone(UTC)
    weather: dict[str, Any] = {
        "id": f"{row['origin']}-{hour:%Y-%m-%dT%H:%MZ}",
        "origin": row["origin"],
        "observed_time": f"{hour:%Y-%m-%dT%H:%M:%SZ}",
    }
    if row["wind_dir"]:
        weather["wind_direction_deg"] = int(row["wind_dir"])
    for field, column in (
        ("temperature_f", "temp"),
        ("dew_point_f", "dewp"),
        ("humidity_percent", "humid"),
        ("wind_speed_mph", "wind_speed"),
        ("wind_gust_mph", "wind_gust"),
        ("precipitation_in", "precip"),
        ("pressure_hpa", "pressure"),
        ("visibility_miles", "visib"),
    ):
        if row[column]:
            weather[field] = float(row[column])
    return weather


def _csv_rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path) as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
