"""The local Pub/Sub over REST: plain HTTP."""

from typing import Any

import aiohttp

from sluice.local.stack import running
from sluice.local.stack_settings import StackSettings, subscription_name, topic_name
from tests.local.endpoint import Endpoint


async def call(http: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return status and decoded body."""
    async with http.request(method, path, json=body) as response:
        return response.status, await response.json()


async def test_pushes_are_paused_and_resumed(endpoint: Endpoint) -> None:
    """Meanwhile the backlog grows, and nothing is pushed; the retention changes with the same call."""
    async with (
        running(StackSettings(port=0, issuer_port=0, push_endpoint=endpoint.url)) as ready,
        aiohttp.ClientSession(ready.issuer) as http,
    ):

        async def update(url: str) -> None:
            wanted = {"pushConfig": {"pushEndpoint": url}, "messageRetentionDuration": "2678400s"}
            body = {"subscription": wanted, "updateMask": "messageRetentionDuration,pushConfig.pushEndpoint"}
            status, changed = await call(http, "PATCH", f"v1/{subscription_name()}", body)
            assert (status, changed["messageRetentionDuration"]) == (200, "2678400s")

        await update("")
        assert (await call(http, "POST", f"v1/{topic_name()}:publish", {"messages": [{"data": "eA=="}] * 2}))[0] == 200
        _, told = await call(http, "GET", "subscriptions")
        (pushed,) = (each for each in told["subscriptions"] if each["is_push"])
        assert (pushed["num_undelivered_messages"], pushed["message_retention_duration"]) == (2, 2_678_400)
        assert endpoint.pushes == []
        await update(endpoint.url)
        assert len(await endpoint.received(2)) == 2
