import pytest

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Draft, PubsubError, check_publish
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


def test_the_expiry_heap_does_not_grow_with_acknowledged_leases(broker: Broker) -> None:
    """Long leases that are acknowledged at once leave nothing behind."""
    subscribe(broker, ack_deadline_s=600)
    for _ in range(5_000):
        broker.publish(TOPIC, [Draft(b"a")])
        broker.acknowledge(SUBSCRIPTION, [d.ack_id for d in broker.pull(SUBSCRIPTION, 1)])
    assert len(broker.subscription(SUBSCRIPTION)._expiries) < 2_000


def test_a_backlog_has_its_size_and_the_age_of_its_oldest_message(broker: Broker, clock: ManualClock) -> None:
    """An acknowledgement takes a message out of both, whichever it was."""
    broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC))
    (empty,) = broker.backlogs()
    assert (empty.num_undelivered_messages, empty.oldest_unacked_message_age) == (0, 0)
    for _ in range(3):
        broker.publish(TOPIC, [Draft(b"x")])
        clock.advance(5)
    first, *_ = broker.pull(SUBSCRIPTION, 1)
    assert broker.backlogs()[0].oldest_unacked_message_age == 15, "leased is not acknowledged"
    broker.acknowledge(SUBSCRIPTION, [first.ack_id])
    (left,) = broker.backlogs()
    assert (left.num_undelivered_messages, left.oldest_unacked_message_age) == (2, 10)


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


def test_a_longer_retention_saves_what_is_there(broker: Broker, clock: ManualClock) -> None:
    """It counts from the publication, so it may be extended until the last moment."""
    broker.create_subscription(SubscriptionSettings(name=SUBSCRIPTION, topic=TOPIC, retention_s=600))
    broker.publish(TOPIC, [Draft(b"x")])
    clock.advance(599)
    broker.update_subscription(SUBSCRIPTION, {"retention_s": 86_400})
    clock.advance(86_400 - 600)
    assert [each.message.data for each in broker.pull(SUBSCRIPTION, 10)] == [b"x"]


@pytest.mark.parametrize(
    ("drafts", "complaint"),
    [
        ([Draft(b"a")] * 1001, "1001 messages in one publish request; the limit is 1000"),
        ([Draft(b"ok"), Draft(b"")], r"messages\[1\] needs data or at least one attribute"),
        ([Draft(b"x" * 6_000_000)] * 2, "12000000 bytes"),
        ([Draft(b"a", {f"k{i}": "" for i in range(101)})], "101 attributes; the limit is 100"),
        ([Draft(b"a", {"k": "é" * 513})], r"messages\[0\].attributes\['k'\] is 1026 bytes; the limit is 1024"),
        ([Draft(b"a", {}, "o" * 1025)], r"messages\[0\].orderingKey is 1025 bytes"),
    ],
)
def test_limits_of_a_publish_request(drafts: list[Draft], complaint: str) -> None:
    """Each limit of the real service is enforced, naming the message and the limit; at the limit it passes."""
    with pytest.raises(PubsubError, match=complaint):
        check_publish(drafts)
    check_publish([Draft(b"", {"k": "v" * 1024})] * 1000)


async def test_a_lease_that_runs_out_wakes_the_waiter(subscribed: Broker) -> None:
    """Time alone brings a message back, and the waiter notices without any other event."""
    subscribed.publish(TOPIC, [Draft(b"a")])
    subscribed.pull(SUBSCRIPTION, 1, 0.02)
    await subscribed.wait_ready(SUBSCRIPTION)
    assert [delivery.attempt for delivery in subscribed.pull(SUBSCRIPTION, 1)] == [2]
