"""Read the committed flights, as JSON objects ready to be published."""

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

DATA_PATH = Path(__file__).with_name("flights.csv.gz")
YEAR, MONTH = 2013, 1
NEW_YORK_IN_JANUARY = timezone(timedelta(hours=-5), "EST")


def rows(path: Path = DATA_PATH) -> Iterator[dict[str, Any]]:
    """Yield each flight as a JSON object (only str, int, bool and nested objects), day by day."""
    with gzip.open(path) as file:
        for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            yield flight_object(row)


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
