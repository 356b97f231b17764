"""Record types as people declare them, for the example that the page shows of each."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct


class Quoted(Struct, forbid_unknown_fields=True):
    """A text that a shell would take for its own."""

    id: Annotated[str, Meta(examples=['it\'s $HOME `x` "q" \\'], extra={"sluice": ["id"]})]


class Underivable(Struct, forbid_unknown_fields=True):
    """A pattern of which no text is derived."""

    id: Annotated[str, Meta(pattern="^(?=b)[A-Z]{3}$", extra={"sluice": ["id"]})]
    total: int


class Customer(Struct, forbid_unknown_fields=True):
    """Who ordered."""

    name: str


class Order(Struct, forbid_unknown_fields=True, kw_only=True):
    """Nested and empty fields before the plain ones, and the time of the event last."""

    id: Annotated[str, Meta(extra={"sluice": ["id"]})]
    customer: Customer
    tags: list[str]
    note: str | None = None
    hints: dict[str, Any] | None = None
    country: Annotated[str, Meta(extra={"sluice": ["filter", "aggregate"]})]
    total_cents: Annotated[int, Meta(extra={"sluice": ["filter"]})]
    channel: str
    is_paid: bool = False
    placed_time: Annotated[datetime, Meta(tz=True)]
