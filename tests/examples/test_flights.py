"""The flights that the repository carries, and the record type that describes them."""

import gzip
import hashlib
import re
from typing import Any

import msgspec
import pytest

from sluice.local.flights import load
from sluice.local.flights.record import Flight
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


def test_the_count_is_the_one_stated(rows: list[dict[str, Any]]) -> None:
    """The README's figures are those of the file."""
    cancelled = sum(row["cancelled"] for row in rows)
    assert f"{len(rows):,} real flights, {cancelled} of them cancelled" in README
    assert len(rows) >= 25_000


def test_the_checksums_are_the_ones_stated() -> None:
    """The README states the checksum of each compressed file, and of the CSV inside it."""
    files = [path.read_bytes() for path in (load.DATA_PATH, load.WEATHER_PATH)]
    stated = set(re.findall(r"`([0-9a-f]{64})`", README))
    made = {hashlib.sha256(each).hexdigest() for file in files for each in (file, gzip.decompress(file))}
    assert made < stated
