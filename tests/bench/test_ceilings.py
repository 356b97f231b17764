"""What a ceiling does less of than the service, it does: each answers a push, and says that it is ready."""

import httpx
import pytest

from bench.ingest.ceilings import CEILINGS, SHORT, application


@pytest.mark.parametrize("name", [*CEILINGS, SHORT])
async def test_a_ceiling_answers_pushes_and_is_ready(name: str) -> None:
    """With 204, whatever they hold; and anything that would tell whether it runs gets an answer, too."""
    transport = httpx.ASGITransport(application(name, ack_ms=1.0))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.post("/pubsub/push", content=b"x" * 1_000)).status_code == 204
        assert (await client.get("/health/ready")).status_code in {200, 204}


async def test_the_short_way_is_for_pushes_only() -> None:
    """Everything else is the framework's, which knows what a path answers to."""
    transport = httpx.ASGITransport(application(SHORT, ack_ms=1.0))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/pubsub/push")).status_code == 405
