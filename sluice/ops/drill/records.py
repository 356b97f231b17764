"""The record types that the drills deploy: one that is right, one that is too strict, one that needs another table."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

Id = Annotated[str, Meta(min_length=1, max_length=64, extra={"sluice": ["id"]})]
Placed = Annotated[datetime, Meta(tz=True, description="When the customer paid.")]


class Order(Struct, forbid_unknown_fields=True, kw_only=True):
    """One order of the drill's shop."""

    id: Id
    placed_time: Placed
    country: str
    total_cents: int


class Strict(Struct, forbid_unknown_fields=True, kw_only=True):
    """An order whose country is a code of two letters, which a producer will not keep to."""

    id: Id
    placed_time: Placed
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["NO"])]
    total_cents: int


class Wider(Struct, forbid_unknown_fields=True, kw_only=True):
    """An order whose total is a number of another type, so that its table has to change."""

    id: Id
    placed_time: Placed
    country: str
    total_cents: float
