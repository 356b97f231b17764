"""What holds for any sequence of publishes, pulls, acknowledgements, nacks and passing time."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Delivery, Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from tests.local.clock import ManualClock
from tests.local.conftest import SUBSCRIPTION, TOPIC
from tests.long_form import examples

DEAD = "projects/sluice-local/topics/events-dead"
DEAD_SUBSCRIPTION = "projects/sluice-local/subscriptions/events-dead-sub"
MAX_ATTEMPTS = 2
ACK_DEADLINE_S = 10


class BrokerLaws(RuleBasedStateMachine):
    """Nothing lost, nothing delivered after its ack, one lease at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.broker = Broker(self.clock.now_us)
        for topic in (TOPIC, DEAD):
            self.broker.create_topic(topic)
        self.broker.create_subscription(SubscriptionSettings(name=DEAD_SUBSCRIPTION, topic=DEAD, ack_deadline_s=600))
        self.broker.create_subscription(
            SubscriptionSettings(
                name=SUBSCRIPTION,
                topic=TOPIC,
                ack_deadline_s=ACK_DEADLINE_S,
                dead_letter_topic=DEAD,
                max_attempts=MAX_ATTEMPTS,
            )
        )
        self.published: list[bytes] = []
        self.acked: set[bytes] = set()
        self.dead: Counter[bytes] = Counter()
        self.attempts: Counter[bytes] = Counter()
        self.leases: dict[bytes, tuple[int, Delivery]] = {}
        self.old_ack_ids: list[str] = []

    @rule(count=st.integers(1, 4))
    def publish(self, count: int) -> None:
        names = [b"%d" % (len(self.published) + offset) for offset in range(count)]
        self.broker.publish(TOPIC, [Draft(name) for name in names])
        self.published += names

    @rule(count=st.integers(1, 5))
    def pull(self, count: int) -> None:
        self._forget_expired()
        for delivery in self.broker.pull(SUBSCRIPTION, count):
            self._collect_dead()
            name = delivery.message.data
            assert name not in self.acked, "delivered after its acknowledgement"
            assert name not in self.leases, "leased twice at a time"
            assert not self.dead[name], "delivered after it was dead-lettered"
            self.attempts[name] += 1
            assert delivery.attempt == self.attempts[name] <= MAX_ATTEMPTS
            self.leases[name] = (self.clock.time_us + ACK_DEADLINE_S * 1_000_000, delivery)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.leases)))
        end_us, delivery = self.leases.pop(name)
        self.broker.acknowledge(SUBSCRIPTION, [delivery.ack_id])
        self.old_ack_ids.append(delivery.ack_id)
        if end_us > self.clock.time_us:
            self.acked.add(name)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def nack(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.leases)))
        _, delivery = self.leases.pop(name)
        self.broker.nack(SUBSCRIPTION, delivery.ack_id)
        self.old_ack_ids.append(delivery.ack_id)

    @precondition(lambda self: self.old_ack_ids)
    @rule(data=st.data())
    def settle_again(self, data: st.DataObject) -> None:
        ack_id = data.draw(st.sampled_from(self.old_ack_ids))
        self.broker.acknowledge(SUBSCRIPTION, [ack_id])
        self.broker.nack(SUBSCRIPTION, ack_id)

    @rule(seconds=st.sampled_from([0.5, 1, 3, 10]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def nothing_is_lost(self) -> None:
        self._collect_dead()
        subscription = self.broker.subscription(SUBSCRIPTION)
        subscription.advance(self.clock.time_us)
        self._collect_dead()
        assert subscription.backlog == len(self.published) - len(self.acked) - len(self.dead)
        assert subscription.dead_lettered == len(self.dead)
        assert set(self.dead.values()) <= {1}, "dead-lettered twice"

    def teardown(self) -> None:
        """Whatever happened, a well-behaved subscriber gets all that is left."""
        self.leases.clear()
        for _ in range(len(self.published) + 5):
            self.clock.advance(31)
            deliveries = self.broker.pull(SUBSCRIPTION, 1000)
            self.broker.acknowledge(SUBSCRIPTION, [delivery.ack_id for delivery in deliveries])
            self.acked |= {delivery.message.data for delivery in deliveries}
        self._collect_dead()
        assert self.broker.subscription(SUBSCRIPTION).backlog == 0
        assert self.acked | set(self.dead) == set(self.published)
        assert not self.acked & set(self.dead)

    def _forget_expired(self) -> None:
        for name, (end_us, delivery) in tuple(self.leases.items()):
            if end_us <= self.clock.time_us:
                del self.leases[name]
                self.old_ack_ids.append(delivery.ack_id)

    def _collect_dead(self) -> None:
        for delivery in self.broker.pull(DEAD_SUBSCRIPTION, 1000):
            self.dead[delivery.message.data] += 1
            self.broker.acknowledge(DEAD_SUBSCRIPTION, [delivery.ack_id])


BrokerLaws.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
TestBrokerLaws = BrokerLaws.TestCase
