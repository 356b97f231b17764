"""A market's events: three streams, each found in a way of its own; the first takes what no rule names."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from app.streams import Stream


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order, by a text."""

    order_id: Annotated[str, Meta(min_length=1, extra={"sluice": ["id", "filter"]})]
    kind: str = "order"
    total: Annotated[float | None, Meta(extra={"sluice": ["filter", "aggregate"]})] = None


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment, by a number; members that it does not declare are dropped."""

    undeclared: ClassVar[str] = "drop"
    number: Annotated[int, Meta(extra={"sluice": ["id", "filter"]})]
    kind: str = "payment"
    at: datetime | None = None


class Visit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A visit, which has no id."""

    page: Annotated[str, Meta(extra={"sluice": ["filter", "aggregate"]})]
    kind: str = "visit"


STREAMS = {
    "orders": Order,
    "payments": Stream(record=Payment, retention_days=30, attributes={"ce-type": ("payment.made", "payment.returned")}),
    "visits": Stream(record=Visit, subscriptions=("visits-push",)),
}
