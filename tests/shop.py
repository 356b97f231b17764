"""The service that docs/api.md shows: a shop's records, at noon of the last day of January 2026."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.runtime.clock import MICROSECONDS
from sluice.testing.clock import FakeClock
from sluice.testing.service import Service, running

DOCUMENT = Path(__file__).parent.parent / "docs" / "api.md"
NOON_US = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * MICROSECONDS
RECORDS: tuple[dict[str, Any], ...] = (
    {
        "id": "order-1042",
        "timestamp": "2026-01-31T11:57:02Z",
        "source": "checkout",
        "data": {"total": 12.5, "country": "NO", "items": [{"sku": "A-1"}]},
    },
    {"id": "parcel-7", "timestamp": "2026-01-31T11:57:40Z", "source": "shipping", "data": {"order": "order-1042"}},
    {
        "id": "order-1043",
        "timestamp": "2026-01-31T11:57:55Z",
        "source": "checkout",
        "data": {"total": 80, "country": "SE"},
    },
    {
        "id": "order-1042",
        "timestamp": "2026-01-31T11:58:30Z",
        "source": "checkout",
        "data": {"total": 12.5, "country": "NO", "paid": True},
    },
    {"id": "note-1", "timestamp": "2026-01-31T11:59:00Z"},
)


async def fill(service: Service, clock: FakeClock) -> None:
    """Have the page's records pushed, one every half minute, and then one that is rejected; now it is noon."""
    clock.advance_to(NOON_US - 180 * MICROSECONDS)
    for number, record in enumerate(RECORDS):
        clock.advance_to(clock.now_us() + 30 * MICROSECONDS)  # no timer is due: each would cost a fifth of the test
        await service.push(record, message_id=str(101 + number), origin="web")
    await service.push({"id": "order-1044"}, message_id="110")
    await clock.advance(30)


@asynccontextmanager
async def shop() -> AsyncIterator[Service]:
    """A service that holds the page's records."""
    clock = FakeClock()
    async with running(clock=clock) as service:
        await fill(service, clock)
        yield service
