"""A record type as it began, and as it is a few additive changes later."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class Leg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a journey, as it began."""

    origin: str


_FILTERED: dict[str, Any] = {"sluice": ["filter", "aggregate"]}
_ID = Annotated[str, Meta(extra={"sluice": ["id", "filter"]})]


class Journey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record, as it began."""

    id: _ID
    first: Leg | None = None
    legs: list[Leg] = []


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a leg has gained."""

    name: Annotated[str | None, Meta(extra={"sluice": ["filter"]})] = None
    codes: list[str] = []


class LegLater(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part, a few images later."""

    gate: Gate | None = None
    origin: str
    tags: list[str] = []


class JourneyLater(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record, a few images later: columns before, between and after those of the first image."""

    price: Annotated[float | None, Meta(extra=_FILTERED)] = None
    id: _ID
    notes: dict[str, Any] | None = None
    first: LegLater | None = None
    stops: list[Gate] = []
    legs: list[LegLater] = []
    raw: bytes | None = None
