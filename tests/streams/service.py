"""The market's service, in the test's own loop over an embedded store, and what each stream shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from sluice.testing.service import SETTINGS, Service, authorization, envelope, running

MARKET = SETTINGS.replace(streams="tests.streams.market:STREAMS")
ORDER = {"order_id": "o1", "kind": "order", "total": 12.5}
PAYMENT = {"number": 7, "kind": "payment"}
VISIT = {"page": "/", "kind": "visit"}


@asynccontextmanager
async def market(**changed: Any) -> AsyncIterator[Service]:
    """Run the service with three streams."""
    async with running(MARKET.replace(**changed)) as service:
        yield service


async def push_to(service: Service, stream: str, data: bytes, message_id: str = "1") -> httpx.Response:
    """Push to the path of a stream."""
    body = envelope(data, message_id)
    return await service.client.post(f"/pubsub/push/{stream}", content=body, headers=authorization())


async def records_of(service: Service, stream: str, path: str = "records") -> list[dict[str, Any]]:
    """Return what a stream shows."""
    answer = await service.client.get(f"/v1/streams/{stream}/{path}", params={"freshness": "latest"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["records"]
    return found
