"""The record type, in the service itself: what it stores, and what it rejects."""

from sluice.testing.clock import FakeClock
from sluice.testing.service import SETTINGS, running

ORDERS = SETTINGS.replace(record="orders:Order")
ORDER = {"id": "o-1", "placed_time": "2026-01-31T12:00:00Z", "country": "NO", "total_cents": 4200}


async def test_an_order_is_served() -> None:
    """A message that was pushed is a record of the feed."""
    async with running(ORDERS, FakeClock()) as service:
        assert (await service.push(ORDER)).status_code == 204
        (order,) = (await service.client.get("/v1/records?country=NO")).json()["records"]
        assert order["total_cents"] == 4200


async def test_an_order_without_a_country_is_rejected() -> None:
    """Nothing is lost: the message is among the rejects, which name the field."""
    async with running(ORDERS, FakeClock()) as service:
        assert (await service.push(ORDER | {"country": ""})).status_code == 204
        (reject,) = (await service.client.get("/v1/rejects")).json()["records"]
        assert reject["field"] == "country"
