import pytest

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.errors import AlreadyExistsError, FailedPreconditionError, NotFoundError
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from tests.local.clock import ManualClock
from tests.local.conftest import SUBSCRIPTION, TOPIC

DEAD = "projects/sluice-local/topics/events-dead"
DEAD_SUBSCRIPTION = "projects/sluice-local/subscriptions/events-dead-sub"


def subscribe(broker: Broker, **settings: object) -> None:
    """Create the pull subscription with these settings."""
    broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, **settings))  # type: ignore[arg-type] # each test names valid settings


def test_every_subscription_gets_its_own_copy(broker: Broker) -> None:
    """A message acknowledged on one subscription is still delivered on another."""
    other = SUBSCRIPTION + "-2"
    subscribe(broker)
    broker.create_subscription(SubscriptionSettings(name=other, topic=TOPIC))
    broker.publish(TOPIC, [Draft(b"a")])
    broker.acknowledge(SUBSCRIPTION, [d.ack_id for d in broker.pull(SUBSCRIPTION, 10)])
    assert [d.message.data for d in broker.pull(other, 10)] == [b"a"]
    assert broker.subscription(SUBSCRIPTION).backlog == 0


def test_a_subscription_gets_only_what_is_published_after_it(broker: Broker) -> None:
    """Messages published before a subscription exists never reach it."""
    broker.publish(TOPIC, [Draft(b"before")])
    subscribe(broker)
    broker.publish(TOPIC, [Draft(b"after")])
    assert [d.message.data for d in broker.pull(SUBSCRIPTION, 10)] == [b"after"]


def test_message_ids_are_distinct_and_times_whole_milliseconds(broker: Broker, clock: ManualClock) -> None:
    """Ids differ within and between requests; publish times have the real service's resolution."""
    subscribe(broker)
    clock.advance(0.123456)
    ids = broker.publish(TOPIC, [Draft(b"a"), Draft(b"b")]) + broker.publish(TOPIC, [Draft(b"c")])
    assert len(set(ids)) == 3
    assert {d.message.publish_time_us % 1000 for d in broker.pull(SUBSCRIPTION, 10)} == {0}


def test_a_restarted_broker_does_not_repeat_message_ids(clock: ManualClock) -> None:
    """Rows stored from an earlier run must not pass for duplicates of this run's messages."""
    ids = []
    for _ in range(2):
        broker = Broker(clock.now_us)
        broker.create_topic(TOPIC)
        ids += broker.publish(TOPIC, [Draft(b"a")])
        clock.advance(1)
    assert len(set(ids)) == 2


def test_used_up_attempts_go_to_the_dead_letter_topic(broker: Broker, clock: ManualClock) -> None:
    """After the last attempt a message is forwarded with the marks of its source, and gone here."""
    broker.create_topic(DEAD)
    broker.create_subscription(SubscriptionSettings(name=DEAD_SUBSCRIPTION, topic=DEAD))
    subscribe(broker, dead_letter_topic=DEAD, max_attempts=5)
    broker.publish(TOPIC, [Draft(b"a", {"k": "v"}, "key")])
    for _ in range(4):
        (delivery,) = broker.pull(SUBSCRIPTION, 1)
        broker.modify_ack_deadline(SUBSCRIPTION, [delivery.ack_id], 0)
    broker.pull(SUBSCRIPTION, 1)
    clock.advance(11)  # the fifth attempt fails by its deadline
    assert broker.pull(SUBSCRIPTION, 1) == []
    (dead,) = broker.pull(DEAD_SUBSCRIPTION, 10)
    assert (dead.message.data, dead.message.ordering_key) == (b"a", "key")
    assert dead.message.attributes == {
        "k": "v",
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": "events-pull",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "sluice-local",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2023-11-14T22:13:20.000Z",
    }
    assert broker.subscription(SUBSCRIPTION).dead_lettered == 1


def test_a_deleted_dead_letter_topic_loses_nothing(broker: Broker) -> None:
    """While the dead-letter topic is gone, the message goes on being retried."""
    broker.create_topic(DEAD)
    subscribe(broker, dead_letter_topic=DEAD, max_attempts=1)
    broker.delete_topic(DEAD)
    broker.publish(TOPIC, [Draft(b"a")])
    for _ in range(3):
        (delivery,) = broker.pull(SUBSCRIPTION, 1)
        broker.modify_ack_deadline(SUBSCRIPTION, [delivery.ack_id], 0)
    assert broker.subscription(SUBSCRIPTION).backlog == 1


def test_the_expiry_heap_does_not_grow_with_acknowledged_leases(broker: Broker) -> None:
    """Long leases that are acknowledged at once leave nothing behind."""
    subscribe(broker, ack_deadline_s=600)
    for _ in range(5_000):
        broker.publish(TOPIC, [Draft(b"a")])
        broker.acknowledge(SUBSCRIPTION, [d.ack_id for d in broker.pull(SUBSCRIPTION, 1)])
    assert len(broker.subscription(SUBSCRIPTION)._expiries) < 2_000


def test_what_exists_twice_or_not_at_all_is_named(broker: Broker) -> None:
    """Errors say which topic or subscription, and which there are."""
    subscribe(broker, push_endpoint="http://127.0.0.1:1/")
    with pytest.raises(AlreadyExistsError, match="topics/events already exists"):
        broker.create_topic(TOPIC)
    with pytest.raises(AlreadyExistsError, match="events-pull already exists"):
        subscribe(broker)
    with pytest.raises(NotFoundError, match=f"topics/event-s does not exist; topics: {TOPIC}"):
        broker.publish("projects/sluice-local/topics/event-s", [Draft(b"a")])
    with pytest.raises(NotFoundError, match=f"subscriptions: {SUBSCRIPTION}"):
        broker.pull("projects/sluice-local/subscriptions/other", 1)
    with pytest.raises(FailedPreconditionError, match="cannot be pulled"):
        broker.pulled_subscription(SUBSCRIPTION)


def test_deleting_a_topic_keeps_what_its_subscriptions_hold(broker: Broker) -> None:
    """Messages survive their topic, as in the real service; a deleted subscription is gone."""
    subscribe(broker)
    broker.publish(TOPIC, [Draft(b"a")])
    broker.delete_topic(TOPIC)
    assert broker.topics("sluice-local") == []
    assert broker.subscriptions("sluice-local")[0].topic == "_deleted-topic_"
    assert len(broker.pull(SUBSCRIPTION, 1)) == 1
    broker.delete_subscription(SUBSCRIPTION)
    with pytest.raises(NotFoundError):
        broker.pull(SUBSCRIPTION, 1)
