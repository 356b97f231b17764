"""A record type with a column of every kind, and one row of it."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from app.schema.columns import columns_of


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    amount: Decimal
    label: str | None = None


class Everything(msgspec.Struct, forbid_unknown_fields=True):
    flag: bool
    count: int
    ratio: float
    price: Decimal | None
    text: str
    raw: bytes
    at: Annotated[datetime, Meta(tz=True)]
    day: date
    clock: Annotated[time, Meta(tz=False)]
    tree: Any
    inner: Inner | None
    prices: list[Decimal]
    inners: list[Inner]
    names: list[str]


COLUMNS = columns_of(Everything)


def sample_row() -> dict[str, Any]:
    """Return a row as a QueryRunner does."""
    return {
        "flag": True,
        "count": 2**53 + 1,
        "ratio": 0.1,
        "price": Decimal("1.500000000"),
        "text": 'é"\n',
        "raw": b"\x00\xff",
        "at": datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
        "day": date(2026, 1, 31),
        "clock": time(12, 30),
        "tree": Raw(b'{"a":[1,null]}'),
        "inner": {"amount": Decimal("100.000000000"), "label": None},
        "prices": [Decimal("0E-9"), Decimal("-2.50")],
        "inners": [{"amount": Decimal("1E+2"), "label": "x"}],
        "names": ["a"],
    }
