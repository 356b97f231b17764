from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from tests.local.clock import ManualClock
from tests.local.conftest import SUBSCRIPTION, TOPIC

DEAD = "projects/sluice-local/topics/events-dead"
DEAD_SUBSCRIPTION = "projects/sluice-local/subscriptions/events-dead-sub"


def subscribe(broker: Broker, **settings: object) -> None:
    """Create the pull subscription with these settings."""
    broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, **settings))  # type: ignore[arg-type] # each test names valid settings


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
        broker.nack(SUBSCRIPTION, delivery.ack_id)
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


def test_what_is_older_than_the_retention_is_dropped(broker: Broker, clock: ManualClock) -> None:
    """Ready, leased or given back; what came later is delivered, in order."""
    made = SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, retention_s=600)
    broker.create_subscription(made)
    broker.publish(TOPIC, [Draft(b"old %d" % n) for n in range(4)])
    pulled = broker.pull(SUBSCRIPTION, 2, lease_s=600)
    broker.nack(SUBSCRIPTION, pulled[0].ack_id)
    clock.advance(599)
    broker.publish(TOPIC, [Draft(b"young %d" % n) for n in range(2)])
    assert broker.backlogs()[0].expired_message_count == 0
    clock.advance(1)
    (found,) = broker.backlogs()
    assert (found.expired_message_count, found.num_undelivered_messages) == (4, 2)
    seen = []
    while got := broker.pull(SUBSCRIPTION, 10):
        seen += [each.message.data for each in got]
        broker.acknowledge(SUBSCRIPTION, [each.ack_id for each in got])
    assert seen == [b"young 0", b"young 1"]
    clock.advance(1_000)
    assert broker.pull(SUBSCRIPTION, 10) == [], "nothing that was given back comes again"
    assert broker.backlogs()[0].num_undelivered_messages == 0


async def test_a_lease_that_runs_out_wakes_the_waiter(subscribed: Broker) -> None:
    """Time alone brings a message back, and the waiter notices without any other event."""
    subscribed.publish(TOPIC, [Draft(b"a")])
    subscribed.pull(SUBSCRIPTION, 1, 0.02)
    await subscribed.wait_ready(SUBSCRIPTION)
    assert [delivery.attempt for delivery in subscribed.pull(SUBSCRIPTION, 1)] == [2]
