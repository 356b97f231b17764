"""The local Pub/Sub over REST: plain HTTP."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sluice.local.pubsub.broker import Broker
from sluice.local.stack import running
from sluice.local.stack_settings import StackSettings, subscription_name, topic_name
from tests.local.conftest import SUBSCRIPTION, TOPIC
from tests.local.endpoint import Endpoint


@pytest.fixture
async def http(rest_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the REST API."""
    async with aiohttp.ClientSession(rest_url) as session:
        yield session


async def call(http: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return status and decoded body."""
    async with http.request(method, path, json=body) as response:
        return response.status, await response.json()


async def test_publish_pull_acknowledge(http: aiohttp.ClientSession, subscribed: Broker) -> None:
    """The whole life of a message over REST, in Google's JSON."""
    message = {"data": b64encode(b"hello").decode(), "attributes": {"source": "test"}, "orderingKey": "k"}
    status, published = await call(http, "POST", f"v1/{TOPIC}:publish", {"messages": [message]})
    assert status == 200
    status, pulled = await call(http, "POST", f"v1/{SUBSCRIPTION}:pull", {"maxMessages": 10})
    (received,) = pulled["receivedMessages"]
    assert received["message"].items() >= (message | {"messageId": published["messageIds"][0]}).items()
    assert received["message"]["publishTime"].endswith("Z")
    ack_ids = {"ackIds": [received["ackId"]]}
    assert await call(http, "POST", f"v1/{SUBSCRIPTION}:acknowledge", ack_ids) == (200, {})
    assert subscribed.subscription(SUBSCRIPTION).backlog == 0


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
