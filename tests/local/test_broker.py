from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from tests.local.clock import ManualClock
from tests.local.conftest import SUBSCRIPTION, TOPIC

DEAD = "projects/sluice-local/topics/events-dead"
DEAD_SUBSCRIPTION = "projects/sluice-local/subscriptions/events-dead-sub"


def test_a_restarted_broker_does_not_repeat_message_ids() -> None:
    """Rows stored from an earlier run must not pass for duplicates of this run's messages."""
    clock, ids = ManualClock(), []
    for _ in range(2):
        broker = Broker(clock.now_us)
        broker.create_topic(TOPIC)
        ids += broker.publish(TOPIC, [Draft(b"a")])
        clock.advance(1)
    assert len(set(ids)) == 2


def test_used_up_attempts_go_to_the_dead_letter_topic() -> None:
    """After the last attempt a message is forwarded with the marks of its source, and gone here."""
    clock = ManualClock()
    broker = Broker(clock.now_us)
    for topic in (TOPIC, DEAD):
        broker.create_topic(topic)
    broker.create_subscription(SubscriptionSettings(name=DEAD_SUBSCRIPTION, topic=DEAD))
    broker.create_subscription(
        SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, dead_letter_topic=DEAD, max_attempts=2)
    )
    broker.publish(TOPIC, [Draft(b"a", {"k": "v"}, "key")])
    (delivery,) = broker.pull(SUBSCRIPTION, 1)
    broker.nack(SUBSCRIPTION, delivery.ack_id)
    broker.pull(SUBSCRIPTION, 1)
    clock.advance(11)  # the last attempt fails by its deadline
    assert broker.pull(SUBSCRIPTION, 1) == []
    (dead,) = broker.pull(DEAD_SUBSCRIPTION, 10)
    assert (dead.message.data, dead.message.ordering_key) == (b"a", "key")
    assert dead.message.attributes == {
        "k": "v",
        "CloudPubSubDeadLetterSourceDeliveryCount": "2",
        "CloudPubSubDeadLetterSourceSubscription": "events-pull",
        "CloudPubSubDeadLetterSourceSubscriptionProject": "sluice-local",
        "CloudPubSubDeadLetterSourceTopicPublishTime": "2023-11-14T22:13:20.000Z",
    }
    assert broker.subscription(SUBSCRIPTION).dead_lettered == 1
