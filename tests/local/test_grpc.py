"""The local Pub/Sub through the real clients of google-cloud-pubsub."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.types import PublisherOptions
from google.pubsub_v1.types import (
    PubsubMessage,
    PushConfig,
    StreamingPullRequest,
    StreamingPullResponse,
    Subscription,
)

from sluice.local import clients
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from tests.local.conftest import SUBSCRIPTION, TOPIC
from tests.local.endpoint import TIMEOUT_S

PROJECT = "projects/sluice-local"
pytestmark = pytest.mark.usefixtures("pubsub_host")


@pytest.fixture
def publisher() -> Iterator[PublisherClient]:
    """The batching publisher of google-cloud-pubsub."""
    client = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
    yield client
    client.stop()
    client.transport.close()


@pytest.fixture
def subscriber() -> Iterator[SubscriberClient]:
    """The subscriber of google-cloud-pubsub."""
    with SubscriberClient() as client:
        yield client


async def test_publish_pull_acknowledge(
    publisher: PublisherClient, subscriber: SubscriberClient, live_broker: Broker
) -> None:
    """What the batching publisher sends is pulled as it was, and gone after its acknowledgement."""

    def talk() -> None:
        publisher.create_topic(name=TOPIC)
        subscriber.create_subscription(name=SUBSCRIPTION, topic=TOPIC)
        futures = [publisher.publish(TOPIC, b"%d" % n, ordering_key="k", source="test") for n in range(20)]
        ids = [future.result(TIMEOUT_S) for future in futures]
        received = list(subscriber.pull(subscription=SUBSCRIPTION, max_messages=100).received_messages)
        assert [r.message.data for r in received] == [b"%d" % n for n in range(20)]
        assert [r.message.message_id for r in received] == ids
        assert {(r.message.ordering_key, r.message.attributes["source"]) for r in received} == {("k", "test")}
        assert {r.delivery_attempt for r in received} == {0}, "there is no dead-letter policy"
        subscriber.modify_ack_deadline(
            subscription=SUBSCRIPTION, ack_ids=[r.ack_id for r in received[:5]], ack_deadline_seconds=0
        )
        subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[r.ack_id for r in received[5:]])

    await asyncio.to_thread(talk)
    assert live_broker.subscription(SUBSCRIPTION).backlog == 5
    assert live_broker.subscription(SUBSCRIPTION).outstanding == 0


async def test_a_pull_waits_for_the_first_message(
    publisher: PublisherClient, subscriber: SubscriberClient, subscribed: Broker
) -> None:
    """A pull that finds nothing returns as soon as something is published."""
    pull = asyncio.create_task(asyncio.to_thread(subscriber.pull, subscription=SUBSCRIPTION, max_messages=1))
    subscription = subscribed.subscription(SUBSCRIPTION)
    async with asyncio.timeout(TIMEOUT_S):
        while not subscription.watchers:  # noqa: ASYNC110 - the pull is on its way in another thread
            await asyncio.sleep(0.002)
    await asyncio.to_thread(lambda: publisher.publish(TOPIC, b"late").result(TIMEOUT_S))
    assert [r.message.data for r in (await pull).received_messages] == [b"late"]


async def test_the_streaming_subscriber_receives_and_acknowledges(
    publisher: PublisherClient, subscriber: SubscriberClient, subscribed: Broker
) -> None:
    """`subscribe()` works: messages come over StreamingPull and its acknowledgements count."""
    seen: list[bytes] = []
    acked = threading.Event()

    def keep(message: Message) -> None:
        seen.append(message.data)
        message.ack()
        if len(seen) == 10:
            acked.set()

    def talk() -> None:
        pulling = subscriber.subscribe(SUBSCRIPTION, callback=keep)
        for number in range(10):
            publisher.publish(TOPIC, b"%d" % number)
        assert acked.wait(TIMEOUT_S)
        pulling.cancel()
        pulling.result(TIMEOUT_S)

    await asyncio.to_thread(talk)
    async with asyncio.timeout(TIMEOUT_S):
        while subscribed.subscription(SUBSCRIPTION).backlog:  # noqa: ASYNC110 - the last ack is on its way
            await asyncio.sleep(0.002)
    assert sorted(seen) == sorted(b"%d" % number for number in range(10))


async def test_a_stream_carries_acknowledgements_and_deadlines(pubsub_host: str, subscribed: Broker) -> None:
    """Clients that settle on the stream itself are served, within the flow control they ask for."""
    subscribed.publish(TOPIC, [Draft(b"1"), Draft(b"2")])
    request_class = StreamingPullRequest.pb()
    async with grpc.aio.insecure_channel(pubsub_host) as channel:
        stream: Any = channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            request_serializer=request_class.SerializeToString,
            response_deserializer=StreamingPullResponse.pb().FromString,
        )()
        start = request_class(subscription=SUBSCRIPTION, stream_ack_deadline_seconds=10, max_outstanding_messages=1)
        await stream.write(start)
        (first,) = (await stream.read()).received_messages
        await stream.write(request_class(modify_deadline_ack_ids=[first.ack_id], modify_deadline_seconds=[0]))
        (second,) = (await stream.read()).received_messages
        await stream.write(request_class(ack_ids=[second.ack_id]))
        (again,) = (await stream.read()).received_messages
        stream.cancel()
    assert [one.message.data for one in (first, second, again)] == [b"1", b"2", b"1"]
    assert subscribed.subscription(SUBSCRIPTION).backlog == 1


async def test_topics_and_subscriptions_can_be_managed(
    publisher: PublisherClient, subscriber: SubscriberClient
) -> None:
    """Create, get, list and delete, with the settings that were given."""

    def talk() -> None:
        names = [f"{PROJECT}/topics/topic-{letter}" for letter in "abc"]
        for name in names:
            publisher.create_topic(name=name)
        assert publisher.get_topic(topic=names[0]).name == names[0]
        listed = publisher.list_topics(request={"project": PROJECT, "page_size": 2})
        assert [topic.name for topic in listed] == names
        wanted = Subscription(
            name=SUBSCRIPTION,
            topic=names[0],
            ack_deadline_seconds=60,
            dead_letter_policy={"dead_letter_topic": names[1], "max_delivery_attempts": 7},
        )
        made = subscriber.create_subscription(request=wanted)
        assert made == subscriber.get_subscription(subscription=SUBSCRIPTION)
        assert list(subscriber.list_subscriptions(project=PROJECT)) == [made]
        assert made.ack_deadline_seconds == 60
        assert made.dead_letter_policy.max_delivery_attempts == 7
        assert list(publisher.list_topic_subscriptions(topic=names[0])) == [SUBSCRIPTION]
        subscriber.delete_subscription(subscription=SUBSCRIPTION)
        publisher.delete_topic(topic=names[0])
        assert len(list(publisher.list_topics(project=PROJECT))) == 2

    await asyncio.to_thread(talk)


async def test_refusals_have_the_service_s_status(
    publisher: PublisherClient, subscriber: SubscriberClient, live_broker: Broker
) -> None:
    """ALREADY_EXISTS, NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION and UNIMPLEMENTED, each with a clear text."""

    def subscription(**fields: object) -> Subscription:
        return Subscription(name=SUBSCRIPTION, topic=TOPIC, **fields)

    def talk() -> None:
        publisher.create_topic(name=TOPIC)
        with pytest.raises(exceptions.AlreadyExists, match="topics/events already exists"):
            publisher.create_topic(name=TOPIC)
        with pytest.raises(exceptions.NotFound, match="topics/other does not exist"):
            publisher.publish(f"{PROJECT}/topics/other", b"a").result(TIMEOUT_S)
        with pytest.raises(exceptions.InvalidArgument, match="is not a name like projects/PROJECT/topics/NAME"):
            publisher.create_topic(name="events")
        with pytest.raises(exceptions.InvalidArgument, match="the limit is 10000000"):
            publisher._gapic_publish(topic=TOPIC, messages=[{"data": b"x" * 10_000_001}])
        with pytest.raises(exceptions.InvalidArgument, match="ackDeadlineSeconds is 9"):
            subscriber.create_subscription(request=subscription(ack_deadline_seconds=9))
        policy = {"dead_letter_topic": TOPIC, "max_delivery_attempts": 3}
        with pytest.raises(exceptions.InvalidArgument, match="maxDeliveryAttempts is 3"):
            subscriber.create_subscription(request=subscription(dead_letter_policy=policy))
        for name, value in (("filter", "attributes.a"), ("enable_message_ordering", True), ("retry_policy", {})):
            with pytest.raises(exceptions.MethodNotImplemented, match="does not support"):
                subscriber.create_subscription(request=subscription(**{name: value}))
        with pytest.raises(exceptions.MethodNotImplemented, match="--push-endpoint"):
            subscriber.create_subscription(request=subscription(push_config=PushConfig(push_endpoint="http://x")))
        with pytest.raises(exceptions.FailedPrecondition, match="cannot be pulled"):
            subscriber.pull(subscription=f"{PROJECT}/subscriptions/pushed", max_messages=1)
        with pytest.raises(exceptions.InvalidArgument, match="projects/PROJECT"):
            list(publisher.list_topics(project="sluice-local"))

    pushed = SubscriptionSettings(name=f"{PROJECT}/subscriptions/pushed", topic=TOPIC + "-2", push_endpoint="http://x")
    live_broker.create_topic(TOPIC + "-2")
    live_broker.create_subscription(pushed)
    await asyncio.to_thread(talk)


@pytest.mark.usefixtures("subscribed")
async def test_a_message_of_exactly_the_limit_travels_both_ways(pubsub_host: str) -> None:
    """10 MB are published and pulled: gRPC's own limits do not stand in the way."""
    data = b"x" * 10_000_000

    def talk() -> None:
        with clients.publisher(pubsub_host) as publisher, clients.subscriber(pubsub_host) as subscriber:
            publisher.publish(topic=TOPIC, messages=[PubsubMessage(data=data)])
            (received,) = subscriber.pull(subscription=SUBSCRIPTION, max_messages=1).received_messages
        assert received.message.data == data

    await asyncio.to_thread(talk)


async def test_a_pull_fits_into_what_a_default_client_receives(
    subscriber: SubscriberClient, subscribed: Broker
) -> None:
    """Large messages are spread over several pulls rather than refused by the client's 4 MiB limit."""
    subscribed.publish(TOPIC, [Draft(b"x" * 1_500_000)] * 5)

    def counts() -> list[int]:
        return [len(subscriber.pull(subscription=SUBSCRIPTION, max_messages=100).received_messages) for _ in range(3)]

    assert await asyncio.to_thread(counts) == [2, 2, 1]


async def test_an_unknown_method_is_unimplemented(pubsub_host: str) -> None:
    """A method that is not there is refused as gRPC refuses it."""
    async with grpc.aio.insecure_channel(pubsub_host) as channel:
        update: Any = channel.unary_unary("/google.pubsub.v1.Publisher/UpdateTopic")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await update(b"")
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
