"""What this service stores. Change the type to yours, then run `sluice schema duckdb` to see its table."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct


class Order(Struct, forbid_unknown_fields=True, kw_only=True):
    """One order of our shop."""

    id: Annotated[str, Meta(min_length=1, max_length=64, extra={"sluice": ["id"]})]
    placed_time: Annotated[datetime, Meta(tz=True, description="When the customer paid.", extra={"sluice": ["filter"]})]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", examples=["NO"], extra={"sluice": ["filter", "aggregate"]})]
    total_cents: Annotated[int, Meta(ge=0, extra={"sluice": ["filter", "aggregate"]})]
    note: str | None = None
