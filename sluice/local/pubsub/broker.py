"""Topics and subscriptions of the local Pub/Sub: a deterministic state machine with an injected clock.

Nothing persists: stopping the process forgets every message. Unlike the official emulator, message ids
do not restart at 1, so rows stored by an earlier run are never mistaken for duplicates.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from sluice.local.pubsub.errors import AlreadyExistsError, FailedPreconditionError, NotFoundError, UnsupportedError
from sluice.local.pubsub.message import Delivery, Draft, Message, check_name, check_publish, format_time, project_of
from sluice.local.pubsub.subscription import Backlog, Subscription, SubscriptionSettings

DELETED_TOPIC = "_deleted-topic_"


class Broker:
    """All topics and subscriptions, of any number of projects."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        """Start empty; `now_us` returns microseconds since the Unix epoch."""
        self.now_us = now_us
        self._topics: dict[str, dict[str, Subscription]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._message_ids = itertools.count(now_us())
        self._ack_ids = itertools.count(1)

    def create_topic(self, name: str) -> None:
        """Add a topic. Raises InvalidArgumentError or AlreadyExistsError."""
        if check_name(name, "topics") in self._topics:
            raise AlreadyExistsError(f"topic {name} already exists")
        self._topics[name] = {}

    def require_topic(self, name: str) -> str:
        """Return `name` if the topic exists. Raises InvalidArgumentError or NotFoundError."""
        if name not in self._topics:
            check_name(name, "topics")
            raise NotFoundError(f"topic {name} does not exist; topics: {', '.join(sorted(self._topics)) or 'none'}")
        return name

    def delete_topic(self, name: str) -> None:
        """Remove a topic; its subscriptions keep their messages. Raises as `require_topic`."""
        for subscription in self._topics.pop(self.require_topic(name)).values():
            subscription.settings = msgspec.structs.replace(subscription.settings, topic=DELETED_TOPIC)

    def topics(self, project: str) -> list[str]:
        """Return the names of a project's topics, sorted."""
        return sorted(name for name in self._topics if project_of(name) == project)

    def create_subscription(self, settings: SubscriptionSettings) -> None:
        """Add a subscription, which receives the messages published from now on.

        Raises InvalidArgumentError, AlreadyExistsError, or NotFoundError if a topic does not exist.
        """
        if check_name(settings.name, "subscriptions") in self._subscriptions:
            raise AlreadyExistsError(f"subscription {settings.name} already exists")
        self.require_topic(settings.topic)
        if settings.dead_letter_topic:
            self.require_topic(settings.dead_letter_topic)
        subscription = Subscription(settings, lambda: str(next(self._ack_ids)), self._forward_dead)
        self._subscriptions[settings.name] = subscription
        self._topics[settings.topic][settings.name] = subscription

    def subscription(self, name: str) -> Subscription:
        """Return a subscription. Raises InvalidArgumentError or NotFoundError."""
        subscription = self._subscriptions.get(name)
        if subscription is None:
            check_name(name, "subscriptions")
            raise NotFoundError(
                f"subscription {name} does not exist; subscriptions: {', '.join(sorted(self._subscriptions)) or 'none'}"
            )
        return subscription

    def pulled_subscription(self, name: str) -> Subscription:
        """Return a subscription that clients may pull. Raises as `subscription`, or FailedPreconditionError."""
        subscription = self.subscription(name)
        if subscription.settings.push_endpoint:
            raise FailedPreconditionError(f"subscription {name} is pushed to an endpoint and cannot be pulled")
        return subscription

    def update_subscription(self, name: str, changes: Mapping[str, Any]) -> SubscriptionSettings:
        """Change members of a subscription's settings, and return them all.

        Raises as `subscription`, or UnsupportedError for the push endpoint of a subscription that nothing pushes.
        """
        subscription = self.subscription(name)
        if changes.get("push_endpoint") and not subscription.is_push:
            raise UnsupportedError(
                f"the local Pub/Sub pushes only the subscriptions that it starts with; {name} is not one of them"
            )
        subscription.settings = msgspec.structs.replace(subscription.settings, **changes)
        subscription.notify()
        return subscription.settings

    def backlogs(self) -> list[Backlog]:
        """Return the backlog of every subscription, sorted by name."""
        now_us = self.now_us()
        return [self._subscriptions[name].describe(now_us) for name in sorted(self._subscriptions)]

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription and all its messages. Raises as `subscription`."""
        subscription = self.subscription(name)
        del self._subscriptions[name]
        if subscription.settings.topic in self._topics:
            del self._topics[subscription.settings.topic][name]
        subscription.notify()

    def subscriptions(self, project: str) -> list[SubscriptionSettings]:
        """Return the settings of a project's subscriptions, sorted by name."""
        return [
            self._subscriptions[name].settings for name in sorted(self._subscriptions) if project_of(name) == project
        ]

    def subscriptions_of(self, topic: str) -> list[str]:
        """Return the names of a topic's subscriptions, sorted. Raises as `require_topic`."""
        return sorted(self._topics[self.require_topic(topic)])

    def publish(self, topic: str, drafts: Sequence[Draft]) -> list[str]:
        """Deliver messages to every subscription of the topic and return their ids, in order.

        Raises InvalidArgumentError or NotFoundError; then nothing was published.
        """
        subscriptions = self._topics[self.require_topic(topic)].values()
        check_publish(drafts)
        # Whole milliseconds, as the real service stamps them.
        publish_time_us = self.now_us() // 1000 * 1000
        message_ids = []
        for draft in drafts:
            message_id = str(next(self._message_ids))
            message = Message(draft.data, draft.attributes, draft.ordering_key, message_id, publish_time_us)
            for subscription in subscriptions:
                subscription.accept(message)
            message_ids.append(message_id)
        return message_ids

    def pull(
        self, name: str, max_messages: int, lease_s: float | None = None, max_bytes: float = math.inf
    ) -> list[Delivery]:
        """Lease ready messages, without waiting. Raises as `subscription`."""
        return self.subscription(name).pull(max_messages, self.now_us(), lease_s, max_bytes)

    def acknowledge(self, name: str, ack_ids: Sequence[str]) -> None:
        """Settle leases for good; expired ones are ignored. Raises as `subscription`."""
        subscription, now_us = self.subscription(name), self.now_us()
        for ack_id in ack_ids:
            subscription.ack(ack_id, now_us)

    def modify_ack_deadline(self, name: str, ack_ids: Sequence[str], lease_s: float) -> None:
        """Extend leases, or give messages back with `lease_s` 0. Raises as `subscription`."""
        subscription, now_us = self.subscription(name), self.now_us()
        for ack_id in ack_ids:
            if lease_s == 0:
                subscription.nack(ack_id, now_us)
            else:
                subscription.extend(ack_id, lease_s, now_us)

    def _forward_dead(self, settings: SubscriptionSettings, message: Message, attempts: int) -> bool:
        if settings.dead_letter_topic not in self._topics:
            return False  # the topic was deleted: the real service keeps retrying, too
        project, _, name = settings.name.removeprefix("projects/").split("/")
        source = {
            "CloudPubSubDeadLetterSourceDeliveryCount": str(attempts),
            "CloudPubSubDeadLetterSourceSubscription": name,
            "CloudPubSubDeadLetterSourceSubscriptionProject": project,
            "CloudPubSubDeadLetterSourceTopicPublishTime": format_time(message.publish_time_us),
        }
        forwarded = Message(
            message.data,
            message.attributes | source,
            message.ordering_key,
            str(next(self._message_ids)),
            self.now_us() // 1000 * 1000,
        )
        for subscription in self._topics[settings.dead_letter_topic].values():
            subscription.accept(forwarded)
        return True
