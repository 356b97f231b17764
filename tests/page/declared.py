"""Record types as people declare them, for the example that the page shows of each."""

import enum
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct


class Status(enum.Enum):
    """An Enum of text."""

    OPEN = "open"
    CLOSED = "closed"


class Price(Struct, forbid_unknown_fields=True, rename="camel"):
    """A nested type with other names in JSON."""

    net_amount: Decimal
    currency_code: Annotated[str, Meta(pattern="^[A-Z]{3}$", examples=["NOK"])]


class Line(Struct, forbid_unknown_fields=True):
    """An item of a list."""

    price: Price
    tags: list[str]
    options: Annotated[list[Literal["a", "b"]], Meta(min_length=2)]


class Sale(Struct, forbid_unknown_fields=True, kw_only=True):
    """Nested types, lists, Optional, enums, times."""

    id: Annotated[UUID, Meta(extra={"sluice": ["id"]})]
    at: Annotated[datetime, Meta(tz=True)]
    day: date
    opened: Annotated[time, Meta(tz=False)]
    status: Status
    level: Literal[3, 2, 1]
    lines: Annotated[list[Line], Meta(min_length=1)]
    first: Line | None
    second: Line | None = None
    labels: Annotated[dict[str, int], Meta(min_length=1, examples=[{"blue": 1}])]
    extra: Any = None
    is_paid: bool = False


class Quoted(Struct, forbid_unknown_fields=True):
    """A text that a shell would take for its own."""

    id: Annotated[str, Meta(examples=['it\'s $HOME `x` "q" \\'], extra={"sluice": ["id"]})]


class Nameless(Struct, forbid_unknown_fields=True):
    """A type without an id."""

    value: Annotated[int, Meta(ge=-5, le=5)]


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
