"""Topics and subscriptions of the local Pub/Sub: a deterministic state machine with an injected clock.

Nothing persists: stopping the process forgets every message. Unlike the official emulator, message ids
do not restart at 1, so rows stored by an earlier run are never mistaken for duplicates.
"""

import asyncio
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from sluice.local.pubsub.message import MICROSECONDS, Delivery, Draft, Message, PubsubError, check_publish, format_time
from sluice.local.pubsub.subscription import Backlog, Subscription, SubscriptionSettings


class Broker:
    """All topics and subscriptions; its owner creates them."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        """Start empty; `now_us` returns microseconds since the Unix epoch."""
        self.now_us = now_us
        self._topics: dict[str, list[Subscription]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._message_ids = itertools.count(now_us())
        self._ack_ids = itertools.count(1)

    def create_topic(self, name: str) -> None:
        """Add a topic."""
        self._topics[name] = []

    def create_subscription(self, settings: SubscriptionSettings) -> None:
        """Add a subscription, which receives the messages published from now on. Its topics exist."""
        subscription = Subscription(settings, lambda: str(next(self._ack_ids)), self._forward_dead)
        self._subscriptions[settings.name] = subscription
        self._topics[settings.topic].append(subscription)

    def subscription(self, name: str) -> Subscription:
        """Return a subscription. Raises PubsubError."""
        if name not in self._subscriptions:
            there = ", ".join(sorted(self._subscriptions)) or "none"
            raise PubsubError("NOT_FOUND", f"subscription {name} does not exist; subscriptions: {there}")
        return self._subscriptions[name]

    def update_subscription(self, name: str, changes: Mapping[str, Any]) -> SubscriptionSettings:
        """Change members of a subscription's settings, and return them all. Raises PubsubError."""
        subscription = self.subscription(name)
        if changes.get("push_endpoint") and not subscription.is_push:
            raise PubsubError("UNIMPLEMENTED", f"the local Pub/Sub pushes the subscriptions it starts with, not {name}")
        subscription.settings = msgspec.structs.replace(subscription.settings, **changes)
        subscription.notify()
        return subscription.settings

    def backlogs(self) -> list[Backlog]:
        """Return the backlog of every subscription, sorted by name."""
        now_us = self.now_us()
        return [self._subscriptions[name].describe(now_us) for name in sorted(self._subscriptions)]

    def publish(self, topic: str, drafts: Sequence[Draft]) -> list[str]:
        """Deliver messages to every subscription of the topic and return their ids, in order.

        Raises PubsubError; then nothing was published.
        """
        if topic not in self._topics:
            there = ", ".join(sorted(self._topics)) or "none"
            raise PubsubError("NOT_FOUND", f"topic {topic} does not exist; topics: {there}")
        check_publish(drafts)
        messages = [self._stamped(draft) for draft in drafts]
        for message in messages:
            for subscription in self._topics[topic]:
                subscription.accept(message)
        return [message.message_id for message in messages]

    def pull(
        self, name: str, max_messages: int, lease_s: float | None = None, max_bytes: float = math.inf
    ) -> list[Delivery]:
        """Lease ready messages, without waiting. Raises as `subscription`."""
        return self.subscription(name).pull(max_messages, self.now_us(), lease_s, max_bytes)

    def acknowledge(self, name: str, ack_ids: Sequence[str]) -> None:
        """Settle leases for good; expired ones are ignored. Raises as `subscription`."""
        for ack_id in ack_ids:
            self.subscription(name).ack(ack_id, self.now_us())

    def nack(self, name: str, ack_id: str) -> None:
        """Give a message back; an expired lease is ignored. Raises as `subscription`."""
        self.subscription(name).nack(ack_id, self.now_us())

    async def wait_ready(self, name: str, timeout_s: float | None = None) -> None:
        """Return once a pull would return something, or after `timeout_s`. Raises as `subscription`."""
        give_up_us = None if timeout_s is None else self.now_us() + round(timeout_s * MICROSECONDS)
        changed, subscription = asyncio.Event(), self.subscription(name)
        subscription.watchers.add(changed.set)
        try:
            while True:
                changed.clear()
                now_us = self.now_us()
                if subscription.has_ready(now_us) or (give_up_us is not None and now_us >= give_up_us):
                    return
                moments_us = [at for at in (subscription.next_change_us(), give_up_us) if at is not None]
                wait_s = max(0.0, (min(moments_us) - now_us) / MICROSECONDS) if moments_us else None
                try:
                    async with asyncio.timeout(wait_s):
                        await changed.wait()
                except TimeoutError:
                    continue
        finally:
            subscription.watchers.discard(changed.set)

    def _stamped(self, draft: Draft) -> Message:
        """Return a message with its id, published now: in whole milliseconds, as the real service stamps it."""
        now_us = self.now_us() // 1000 * 1000
        return Message(draft.data, draft.attributes, draft.ordering_key, str(next(self._message_ids)), now_us)

    def _forward_dead(self, settings: SubscriptionSettings, message: Message, attempts: int) -> None:
        project, _, name = settings.name.removeprefix("projects/").split("/")
        source = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
            "CloudPubSubDeadLetterSourceSubscription": name,
            "CloudPubSubDeadLetterSourceSubscriptionProject": project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": format_time(message.publish_time_us),
        }
        forwarded = self._stamped(Draft(message.data, message.attributes | source, message.ordering_key))
        for subscription in self._topics[settings.dead_letter_topic]:
            subscription.accept(forwarded)
