"""The pusher against a real HTTP server that nacks, stalls, or is not there yet."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from sluice.local.flow import PushFlow
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Delivery, Draft, Message
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.pusher import Pusher, push_body
from tests.local.conftest import TOPIC
from tests.local.endpoint import Endpoint, Push, eventually

NAME = "projects/sluice-local/subscriptions/events-push"
DEAD = "projects/sluice-local/topics/events-dead"
DEAD_NAME = "projects/sluice-local/subscriptions/events-dead-sub"


@pytest.fixture
def push_broker(live_broker: Broker) -> Broker:
    """A broker with a topic and a dead-letter topic."""
    live_broker.create_topic(TOPIC)
    live_broker.create_topic(DEAD)
    live_broker.create_subscription(SubscriptionSettings(name=DEAD_NAME, topic=DEAD))
    return live_broker


@contextlib.asynccontextmanager
async def pushing(
    broker: Broker,
    url: str,
    *,
    ack_deadline_s: int = 10,
    max_attempts: int = 100,
    min_backoff_s: float = 0.005,
    max_backoff_s: float = 0.02,
) -> AsyncIterator[Pusher]:
    """Run a pusher with short pauses over a new push subscription."""
    broker.create_subscription(
        SubscriptionSettings(
            name=NAME,
            topic=TOPIC,
            ack_deadline_s=ack_deadline_s,
            dead_letter_topic=DEAD,
            max_attempts=max_attempts,
            push_endpoint=url,
        )
    )
    flow = PushFlow(min_backoff_s=min_backoff_s, max_backoff_s=max_backoff_s, max_window=64)
    pusher = Pusher(broker, NAME, lambda: "the-token", flow)
    task = asyncio.create_task(pusher.run())
    try:
        yield pusher
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), "the pusher never ends by itself"


def publish(broker: Broker, count: int) -> None:
    """Publish numbered messages."""
    broker.publish(TOPIC, [Draft(b"%d" % number) for number in range(count)])


@pytest.mark.parametrize("status", [200, 201, 202, 204, 203, 307, 401, 429, 503])
async def test_only_the_documented_statuses_acknowledge(push_broker: Broker, endpoint: Endpoint, status: int) -> None:
    """Every other answer, a redirect too, brings the message back with the next attempt number."""
    answered = [status] if status in {200, 201, 202, 204} else [status, 204]
    answers = iter(answered)

    async def answer(_: Push) -> int:
        return next(answers)

    endpoint.answer = answer
    async with pushing(push_broker, endpoint.url):
        publish(push_broker, 1)
        await eventually(lambda: push_broker.subscription(NAME).backlog == 0)
    assert [push.envelope["deliveryAttempt"] for push in endpoint.pushes] == [1, 2][: len(answered)]
    assert len(endpoint.pushes) == len(answered)


async def test_no_answer_within_the_ack_deadline_is_a_nack(push_broker: Broker, endpoint: Endpoint) -> None:
    """The ack deadline is the request's timeout; the stalled request does not hold the others up."""
    stalled = asyncio.Event()

    async def answer(push: Push) -> int:
        if push.envelope["deliveryAttempt"] == 1 and push.envelope["message"]["data"] == "MA==":
            await stalled.wait()
        return 204

    endpoint.answer = answer
    async with pushing(push_broker, endpoint.url, ack_deadline_s=1):
        publish(push_broker, 20)
        await eventually(lambda: push_broker.subscription(NAME).backlog == 0)
        assert len(endpoint.pushes) == 21
        stalled.set()


async def test_a_nack_pauses_all_messages(push_broker: Broker, endpoint: Endpoint) -> None:
    """After a nack nothing at all is pushed until the pause is over."""

    async def answer(_: Push) -> int:
        return 503

    endpoint.answer = answer
    async with pushing(push_broker, endpoint.url, max_backoff_s=60) as pusher:
        publish(push_broker, 100)
        # 5 ms doubles to over 300 ms in seven pauses; a window of three is pushed between two of them.
        await eventually(lambda: pusher._flow.backoff_s >= 0.3)
        assert len(endpoint.pushes) <= 8 * 3


def delivery(data: bytes = b"", ordering_key: str = "", **attributes: str) -> Delivery:
    """Return a third delivery of a message like the documentation's."""
    return Delivery("7", Message(data, attributes, ordering_key, "2070443601311540", 1_614_366_835_749_000), 3)


def test_a_wrapped_push_has_the_service_s_shape() -> None:
    """Both spellings of id and time, data in base64, the attempt and subscription beside the message."""
    body = push_body(NAME, delivery(b"Hello", "k1", source="test"), with_attempt=True)
    assert msgspec.json.decode(body) == {
        "message": {
            "attributes": {"source": "test"},
            "data": "SGVsbG8=",
            "messageId": "2070443601311540",
            "message_id": "2070443601311540",
            "orderingKey": "k1",
            "publishTime": "2021-02-26T19:13:55.749Z",
            "publish_time": "2021-02-26T19:13:55.749Z",
        },
        "subscription": NAME,
        "deliveryAttempt": 3,
    }
