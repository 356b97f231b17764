"""The departures board of New York's airports on 30 January 2013: records that change, each version a line of JSON.

The source tells when a flight left, but neither when it was announced nor when it was cancelled: the announcements are
put at midnight, the cancellations at the scheduled departure.
"""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from sluice.local.flights import load

_DAY, _MIDNIGHT = "2013-01-30", "2013-01-30T05:00:00Z"


class Departure(Struct, forbid_unknown_fields=True, kw_only=True):
    """What the board says of a flight, from `changed_time` on."""

    id: Annotated[str, Meta(max_length=24, examples=["2013-01-30-UA-1545-EWR"], extra={"sluice": ["id"]})]
    departure_time: Annotated[datetime, Meta(tz=True, description="Scheduled.", extra={"sluice": ["filter"]})]
    destination: Annotated[str, Meta(pattern="^[A-Z]{3}$", examples=["BOS"], extra={"sluice": ["filter"]})]
    delay_min: Annotated[
        int | None,
        Meta(description="Minutes late; absent until it has left.", extra={"sluice": ["filter", "aggregate"]}),
    ] = None
    cancelled: Annotated[bool, Meta(extra={"sluice": ["deleted"]})] = False
    changed_time: Annotated[datetime, Meta(tz=True, extra={"sluice": ["sequence"]})]


def versions() -> Iterator[dict[str, Any]]:
    """Yield each flight as announced, then as it left or was cancelled."""
    for flight in load.rows():
        if flight["flight_date"] != _DAY:
            continue
        announced = {name: flight[name] for name in ("id", "departure_time", "destination")}
        yield announced | {"changed_time": _MIDNIGHT}
        if flight["cancelled"]:
            yield announced | {"cancelled": True, "changed_time": flight["departure_time"]}
        else:
            delay_min = flight["departure_delay_min"]
            left = datetime.fromisoformat(flight["departure_time"]) + timedelta(minutes=delay_min)
            yield announced | {"delay_min": delay_min, "changed_time": left.isoformat()}


def main() -> None:
    """Print the versions as NDJSON."""
    sys.stdout.buffer.writelines(msgspec.json.encode(version) + b"\n" for version in versions())


if __name__ == "__main__":
    main()
