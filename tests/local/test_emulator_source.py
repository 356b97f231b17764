"""The pulling source, against the local Pub/Sub: needs no emulator."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest

from sluice.local.emulator_source import EmulatorSource
from sluice.local.flow import PushFlow
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.push_request import wrapped
from sluice.local.pusher import Pusher
from sluice.testing.pace import patience_s
from tests.local.conftest import SUBSCRIPTION, TOPIC
from tests.local.endpoint import Endpoint, Push, eventually

DEAD = "projects/sluice-local/topics/events-dead"


@pytest.fixture
async def source(pubsub_host: str, live_broker: Broker) -> AsyncIterator[EmulatorSource]:
    """A running source over gRPC from the local Pub/Sub."""
    for topic in (TOPIC, DEAD):
        live_broker.create_topic(topic)
    # Not ordered here, so that many messages of a key arrive at once, as the emulator delivers them.
    live_broker.create_subscription(
        SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, dead_letter_topic=DEAD, max_attempts=100)
    )
    async with grpc.aio.insecure_channel(pubsub_host) as channel:
        made = EmulatorSource(channel, SUBSCRIPTION)
        running = asyncio.create_task(made.run())
        yield made
        running.cancel()
        await asyncio.wait([running])


@pytest.fixture
async def pusher(source: EmulatorSource, endpoint: Endpoint, live_broker: Broker) -> AsyncIterator[Pusher]:
    """A running pusher from the source to the endpoint."""
    made = Pusher(
        source=source,
        endpoint=endpoint.url,
        build=wrapped(SUBSCRIPTION, with_attempt=True),
        token=lambda: "",
        flow=PushFlow(min_backoff_s=0.005, max_backoff_s=0.02),
        ack_deadline_s=10,
        now_us=live_broker.now_us,
    )
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.wait([running])


async def test_everything_is_pushed_and_acknowledged(pusher: Pusher, endpoint: Endpoint, live_broker: Broker) -> None:
    """More messages than one pull brings are pushed once each, and settled at the server."""
    for _ in range(3):
        live_broker.publish(TOPIC, [Draft(b"x")] * 500)
    pushes = await endpoint.received(1500)
    await eventually(lambda: live_broker.subscription(SUBSCRIPTION).backlog == 0)
    assert set(Counter(push.message_id for push in pushes).values()) == {1}
    assert pusher.snapshot()["backlog"] is None


async def test_a_key_is_pushed_one_at_a_time_in_order(pusher: Pusher, endpoint: Endpoint, live_broker: Broker) -> None:
    """A failed message is pushed again, counted, before what waits behind it."""
    failed: set[str] = set()
    under_way: Counter[str] = Counter()

    async def answer(push: Push) -> int:
        key = push.envelope["message"]["orderingKey"]
        under_way[key] += 1
        assert under_way[key] == 1
        await asyncio.sleep(0)
        under_way[key] -= 1
        if int(push.message_id) % 7 == 0 and push.message_id not in failed:
            failed.add(push.message_id)
            return 503
        return 204

    endpoint.answer = answer
    ids = {key: live_broker.publish(TOPIC, [Draft(b"x", {}, key)] * 40) for key in ("a", "b")}
    await eventually(lambda: pusher.stats.acked == 80)
    assert failed
    for key, expected in ids.items():
        pushed = [push.message_id for push in endpoint.pushes if push.envelope["message"]["orderingKey"] == key]
        assert pushed == sorted(pushed)
        assert list(dict.fromkeys(pushed)) == expected
    assert {push.envelope["deliveryAttempt"] for push in endpoint.pushes if push.message_id in failed} == {1, 2}
    await eventually(lambda: live_broker.subscription(SUBSCRIPTION).backlog == 0)


async def test_a_server_that_is_gone_is_told_and_retried(
    source: EmulatorSource, live_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Pulling from a subscription that was deleted warns, and does not end the relay."""
    caplog.set_level(logging.WARNING)
    live_broker.delete_subscription(SUBSCRIPTION)
    await eventually(lambda: "events-pull does not exist" in caplog.text)
    live_broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC))
    live_broker.publish(TOPIC, [Draft(b"x")])
    async with asyncio.timeout(patience_s(60)):
        await source.ready()
    assert [delivery.attempt for delivery in source.take(10)] == [1]
