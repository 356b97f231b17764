"""The source of the pusher's deliveries."""

from collections.abc import Sequence

import msgspec

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Delivery
from sluice.local.pubsub.waiting import wait_ready

LEASE_MARGIN_S = 10.0
"""A push ends at the ack deadline, and its lease a little later, so that the pusher decides the outcome."""


class LocalSource:
    """A subscription of a broker in the same process."""

    def __init__(self, broker: Broker, subscription: str, ack_deadline_s: float) -> None:
        """Lease from `subscription`. Raises NotFoundError when there is none."""
        self._broker = broker
        self._name = subscription
        self._subscription = broker.subscription(subscription)
        self._lease_s = ack_deadline_s + LEASE_MARGIN_S

    def set_ack_deadline(self, ack_deadline_s: float) -> None:
        """Lease for another deadline from now on."""
        self._lease_s = ack_deadline_s + LEASE_MARGIN_S

    async def ready(self) -> None:
        """Wait until `take` would return something."""
        await wait_ready(self._broker, self._name)

    def take(self, max_messages: int) -> Sequence[Delivery]:
        """Lease up to `max_messages`, without waiting."""
        return self._broker.pull(self._name, max_messages, self._lease_s)

    def ack(self, delivery: Delivery) -> None:
        """Settle a delivery for good."""
        self._subscription.ack(delivery.ack_id, self._broker.now_us())

    def nack(self, delivery: Delivery) -> None:
        """Give a delivery back."""
        self._subscription.nack(delivery.ack_id, self._broker.now_us())

    def moved(self, endpoint: str) -> None:
        """Note the endpoint in the subscription, where GetSubscription reads it."""
        settings = self._subscription.settings
        self._subscription.settings = msgspec.structs.replace(settings, push_endpoint=endpoint)
