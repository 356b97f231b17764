"""The local Pub/Sub pushes each stream's own topic to a path of its own, and the shared one to the common path."""

import asyncio
from base64 import b64decode
from typing import Any

import aiohttp

from sluice.local.clients import publish, publisher
from sluice.local.pubsub.message import Draft
from sluice.local.stack import running
from sluice.local.stack_settings import StackSettings, topic_name
from tests.local.endpoint import TIMEOUT_S, Endpoint

STREAMS = ("flights", "x")


async def test_each_stream_has_a_topic_pushed_to_its_path(endpoint: Endpoint) -> None:
    """The pushes arrive where their topic belongs, each once."""
    settings = StackSettings(port=0, issuer_port=0, push_endpoint=endpoint.url, streams=STREAMS)
    async with running(settings) as ready, aiohttp.ClientSession(ready.issuer) as session:
        with publisher(ready.pubsub) as client:
            for topic in ("events", "events.flights", "events.x"):
                await asyncio.to_thread(publish, client, topic_name(topic), [Draft(topic.encode())])
            arrived = {(push.path, b64decode(push.envelope["message"]["data"])) for push in await endpoint.received(3)}
            assert arrived == {
                ("/pubsub/push", b"events"),
                ("/pubsub/push/flights", b"events.flights"),
                ("/pubsub/push/x", b"events.x"),
            }
        async with asyncio.timeout(TIMEOUT_S):
            while any(
                each["num_undelivered_messages"] for each in (await get(session, "/subscriptions"))["subscriptions"]
            ):
                pass  # the last answer is on its way
    assert len(endpoint.pushes) == 3


async def get(session: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    """Return what the control port says."""
    async with session.get(path) as answer:
        found: dict[str, Any] = await answer.json()
        return found
