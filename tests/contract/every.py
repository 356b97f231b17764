"""A record type with a field of every kind that can be filtered by, and records of it, the absent values among them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from app.schema.filters import filter_table
from app.schema.table import records_table
from tests.contract.service import Service
from tests.contract.stores import REJECTS, T0_US, Engine

_FILTER = Meta(extra={"sluice": ["filter"]})


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it was."""

    floor: Annotated[int | None, _FILTER] = None
    room: Annotated[str | None, _FILTER] = None


class Every(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record with a field of every kind."""

    id: Annotated[str, Meta(extra={"sluice": ["id", "filter"]})]
    flag: Annotated[bool | None, _FILTER] = None
    number: Annotated[int | None, _FILTER] = None
    ratio: Annotated[float | None, _FILTER] = None
    price: Annotated[Decimal | None, _FILTER] = None
    text: Annotated[str | None, _FILTER] = None
    raw: Annotated[bytes | None, _FILTER] = None
    key: Annotated[UUID | None, _FILTER] = None
    at: Annotated[Annotated[datetime, Meta(tz=True)] | None, _FILTER] = None
    day: Annotated[date | None, _FILTER] = None
    clock: Annotated[Annotated[time, Meta(tz=False)] | None, _FILTER] = None
    site: Site | None = None
    tree: Annotated[Any, _FILTER] = None


EVERY = records_table(Every)
FIELDS = filter_table(EVERY)
KEYS = [UUID("3f2504e0-4f89-11d3-9a0c-0305e82c3301"), UUID("3f2504ff-0000-4000-8000-000000000000")]
RECORDS = [
    Every(id="nothing"),
    Every(
        id="low",
        flag=False,
        number=-5,
        ratio=-0.5,
        price=Decimal("-1.10"),
        text="a",
        raw=b"\x00",
        key=KEYS[0],
        at=datetime(2026, 1, 31, 12, tzinfo=UTC),
        day=date(2026, 1, 31),
        clock=time(0, 0, 0, 1),
        site=Site(floor=-1, room="b"),
        tree={"n": 5, "s": "5", "items": [{"price": 9.5}, "x"], "deep": {"a": {"b": True}}, "2": "two"},
    ),
    Every(
        id="middle",
        flag=True,
        number=0,
        ratio=0.0,
        price=Decimal(0),
        text="a,b",
        raw=b"\xff",
        key=KEYS[1],
        at=datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC),
        day=date(2026, 2, 1),
        clock=time(12),
        site=Site(floor=2),
        tree={"n": 10, "s": "ten", "items": [], "deep": None},
    ),
    Every(
        id="high",
        flag=True,
        number=2**63 - 1,
        ratio=1e300,
        price=Decimal("99999999999999999999999999999.999999999"),
        text='é "quoted"\n',
        raw=b"",
        key=None,
        at=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        day=date(9999, 12, 31),
        clock=time(23, 59, 59, 999999),
        site=Site(room=""),
        tree=["list"],
    ),
    Every(id="empty", text="", tree="text"),
]


@pytest.fixture(scope="module")
def every(engine: Engine) -> Iterator[Service]:
    """Give a service over a store of its own that holds RECORDS, a microsecond apart from T0_US on."""
    store = engine.loop.run(engine.open([EVERY, REJECTS]))
    service = Service(engine, store, EVERY)
    service.put(EVERY, [(T0_US + number, f"k{number}", record) for number, record in enumerate(RECORDS)])
    service.settle(T0_US + 100)
    yield service
    engine.loop.run(store.close())
