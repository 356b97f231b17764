"""The local Pub/Sub through the real clients of google-cloud-pubsub."""

import asyncio
from collections.abc import Iterator

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import PublisherOptions
from google.pubsub_v1.types import PubsubMessage

from sluice.local import clients
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from tests.local.conftest import SUBSCRIPTION, TOPIC
from tests.local.endpoint import TIMEOUT_S

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


async def test_publish_pull_acknowledge(
    publisher: PublisherClient, subscriber: SubscriberClient, subscribed: Broker
) -> None:
    """What the batching publisher sends is pulled as it was, and gone after its acknowledgement."""

    def talk() -> None:
        futures = [publisher.publish(TOPIC, b"%d" % n, ordering_key="k", source="test") for n in range(20)]
        ids = [future.result(TIMEOUT_S) for future in futures]
        received = list(subscriber.pull(subscription=SUBSCRIPTION, max_messages=100).received_messages)
        assert [r.message.data for r in received] == [b"%d" % n for n in range(20)]
        assert [r.message.message_id for r in received] == ids
        assert {(r.message.ordering_key, r.message.attributes["source"]) for r in received} == {("k", "test")}
        assert {r.delivery_attempt for r in received} == {0}, "there is no dead-letter policy"
        subscriber.acknowledge(subscription=SUBSCRIPTION, ack_ids=[r.ack_id for r in received[5:]])

    await asyncio.to_thread(talk)
    assert subscribed.subscription(SUBSCRIPTION).backlog == 5
