"""The record type of the flights: what one message must look like.

Start the service with `SLUICE_RECORD=sluice.local.flights.record:Flight` and everything else (validation, the
store's table, the filters, the OpenAPI document) follows from this file. It is also meant to be copied: most
kinds of field that a record may have occur here once.
"""

from datetime import date, datetime, time
from typing import Annotated, Literal

from msgspec import Meta, Struct


class Schedule(Struct, forbid_unknown_fields=True, kw_only=True):
    """The times printed in the timetable, each in the local time of its airport."""

    departure_local: Annotated[time, Meta(tz=False, description="Scheduled departure, New York time.")]
    arrival_local: Annotated[time, Meta(tz=False, description="Scheduled arrival, local time of the destination.")]


class Movement(Struct, forbid_unknown_fields=True, kw_only=True):
    """The times at which a flight really left and landed, each in the local time of its airport."""

    departure_local: Annotated[time, Meta(tz=False, description="Actual departure, New York time.")]
    arrival_local: Annotated[
        time | None,
        Meta(description="Actual arrival, local time of the destination. Absent when it was not recorded."),
    ] = None


class Flight(Struct, forbid_unknown_fields=True, kw_only=True):
    """One flight that was scheduled to leave one of New York's three airports."""

    id: Annotated[
        str,
        Meta(
            pattern=r"^\d{4}-\d{2}-\d{2}-[0-9A-Z]{2}-\d{1,4}-[A-Z]{3}$",
            max_length=24,
            description="Date, carrier, flight number and origin, which together name one flight.",
            examples=["2013-01-01-UA-1545-EWR"],
            extra={"sluice": ["id"]},
        ),
    ]
    flight_date: Annotated[
        date, Meta(description="Date of the scheduled departure, New York time.", extra={"sluice": ["filter"]})
    ]
    departure_time: Annotated[
        datetime,
        Meta(
            tz=True,
            description="Scheduled departure as an instant, in UTC.",
            examples=["2013-01-01T10:15:00Z"],
            extra={"sluice": ["filter"]},
        ),
    ]
    schedule: Annotated[Schedule, Meta(description="The times printed in the timetable.")]
    actual: Annotated[
        Movement | None, Meta(description="When it really left and landed. Absent for a cancelled flight.")
    ] = None
    carrier: Annotated[
        str,
        Meta(
            pattern=r"^[0-9A-Z]{2}$",
            min_length=2,
            max_length=2,
            description="Two-character code of the airline (IATA).",
            examples=["UA"],
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ]
    flight_number: Annotated[
        int, Meta(ge=1, le=9999, description="The airline's flight number.", extra={"sluice": ["filter"]})
    ]
    tail_number: Annotated[
        str | None,
        Meta(
            description="Registration of the aeroplane. Absent when none was recorded.",
            extra={"sluice": ["filter"]},
        ),
    ] = None
    origin: Annotated[
        Literal["EWR", "JFK", "LGA"],
        Meta(
            description="Airport of departure: Newark, Kennedy or La Guardia.",
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ]
    destination: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z]{3}$",
            min_length=3,
            max_length=3,
            description="Airport of arrival (three-letter FAA code).",
            examples=["IAH"],
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ]
    departure_delay_min: Annotated[
        int | None,
        Meta(
            description="Minutes late at departure; negative when early. Absent for a cancelled flight.",
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ] = None
    arrival_delay_min: Annotated[
        int | None,
        Meta(
            description="Minutes late at arrival; negative when early. Absent when the flight did not arrive.",
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ] = None
    air_time_min: Annotated[
        int | None,
        Meta(
            description="Minutes in the air. Absent when the flight did not arrive.",
            extra={"sluice": ["aggregate"]},
        ),
    ] = None
    distance_miles: Annotated[
        float,
        Meta(
            gt=0,
            le=6000,
            description="Distance between the two airports, in miles.",
            extra={"sluice": ["filter", "aggregate"]},
        ),
    ]
    cancelled: Annotated[
        bool, Meta(description="Whether the flight never left.", extra={"sluice": ["filter", "aggregate"]})
    ]
