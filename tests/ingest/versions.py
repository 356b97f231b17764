"""An order in three versions, as its producers have sent it over the years."""

from decimal import Decimal
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from app.record import Versions

Id = Annotated[str, Meta(min_length=1, extra={"sluice": ["id", "filter"]})]


class OrderV3(msgspec.Struct, forbid_unknown_fields=True):
    """The newest: an amount with its currency."""

    id: Id
    amount: Annotated[Decimal, Meta(extra={"sluice": ["filter"]})]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", examples=["NOK"], extra={"sluice": ["filter"]})]
    version: int = 3


class OrderV2(msgspec.Struct, forbid_unknown_fields=True):
    """Cents, of a currency that may be unknown."""

    id: Id
    cents: int
    currency: str | None = None
    version: int = 2

    def upgrade(self) -> OrderV3:
        """Return the order with an amount; the currency was euros where none was named."""
        return OrderV3(id=self.id, amount=Decimal(self.cents) / 100, currency=self.currency or "EUR")


class OrderV1(msgspec.Struct):
    """The oldest: a text with the price, from producers that knew of no versions."""

    undeclared: ClassVar = "drop"
    id: Id
    price: str

    def upgrade(self) -> OrderV2:
        """Return the order with its price in cents."""
        return OrderV2(id=self.id, cents=round(float(self.price) * 100))


BY_ATTRIBUTE = Versions(OrderV1, OrderV2, OrderV3, attribute="order-version")
BY_MEMBER = Versions(OrderV1, OrderV2, OrderV3, member="version")
SENT: dict[str, dict[str, Any]] = {
    "1": {"id": "a", "price": "12.5"},
    "2": {"id": "a", "cents": 1250},
    "3": {"id": "a", "amount": "12.5", "currency": "EUR"},
}
