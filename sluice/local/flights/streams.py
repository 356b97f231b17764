"""Three streams for one deployment: the flights, the weather at their departure, and the airports.

Start the service with `SLUICE_STREAMS=sluice.local.flights.streams:STREAMS`. A message belongs to the stream that the
path of its push names, or the attribute `stream`, or else its CloudEvents type (`ce-type`).
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from sluice import Stream
from sluice.local.flights.record import Flight

_FILTER, _PLOT = {"sluice": ["filter"]}, {"sluice": ["filter", "aggregate"]}


class Weather(Struct, forbid_unknown_fields=True, kw_only=True):
    """What one of the three airports of New York observed in one hour."""

    id: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z]{3}-\d{4}-\d{2}-\d{2}T\d{2}:00Z$",
            description="Airport and hour (UTC), which together name one observation.",
            examples=["EWR-2013-01-01T06:00Z"],
            extra={"sluice": ["id"]},
        ),
    ]
    origin: Annotated[Literal["EWR", "JFK", "LGA"], Meta(description="The airport that observed it.", extra=_PLOT)]
    observed_time: Annotated[
        datetime, Meta(tz=True, description="The hour, in UTC.", examples=["2013-01-01T06:00:00Z"], extra=_FILTER)
    ]
    temperature_f: Annotated[float, Meta(description="Temperature, in degrees Fahrenheit.", extra=_PLOT)]
    dew_point_f: Annotated[float, Meta(description="Dew point, in degrees Fahrenheit.")]
    humidity_percent: Annotated[float, Meta(ge=0, le=100, description="Relative humidity.", extra=_PLOT)]
    wind_direction_deg: Annotated[
        int | None, Meta(description="Where the wind comes from, in degrees. Absent when it is variable.")
    ] = None
    wind_speed_mph: Annotated[float, Meta(ge=0, description="Speed of the wind, in miles per hour.", extra=_PLOT)]
    wind_gust_mph: Annotated[
        float | None, Meta(description="Speed of gusts, in miles per hour. Absent without gusts.", extra=_PLOT)
    ] = None
    precipitation_in: Annotated[float, Meta(ge=0, description="Precipitation, in inches.", extra=_PLOT)]
    pressure_hpa: Annotated[
        float | None, Meta(description="Pressure at sea level, in hectopascals. Absent when it was not recorded.")
    ] = None
    visibility_miles: Annotated[float, Meta(ge=0, description="Visibility, in miles.", extra=_PLOT)]


class Airport(Struct, forbid_unknown_fields=True, kw_only=True):
    """An airport where the flights begin or end: reference data, which hardly ever changes."""

    code: Annotated[
        str,
        Meta(pattern="^[A-Z]{3}$", description="FAA code.", examples=["EWR"], extra={"sluice": ["id", "filter"]}),
    ]
    city: Annotated[str, Meta(min_length=1, description="The city that it serves.", examples=["Newark"])]
    state: Annotated[
        str,
        Meta(
            pattern="^[A-Z]{2}$",
            description="Postal abbreviation of the city's state, district or territory.",
            examples=["NJ"],
            extra=_PLOT,
        ),
    ]
    time_zone: Annotated[
        str,
        Meta(
            pattern="^[A-Z][A-Za-z]+(/[A-Z][A-Za-z_]+)+$",
            description="IANA time zone.",
            examples=["America/New_York"],
            extra=_PLOT,
        ),
    ]


STREAMS = {
    "flights": Stream(record=Flight, attributes={"ce-type": "flight"}),
    "weather": Stream(record=Weather, attributes={"ce-type": "weather"}),
    "airports": Stream(record=Airport, attributes={"ce-type": "airport"}),
}
