"""The local Pub/Sub through the real clients of google-cloud-pubsub."""

import asyncio
from collections.abc import Iterator

import pytest
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import PublisherOptions

from sluice.local.pubsub.broker import Broker
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
