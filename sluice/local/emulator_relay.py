"""Create the topics and subscriptions in the emulator that the relay pulls from."""

import logging

from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.types import DeadLetterPolicy, Subscription

from sluice.local.clients import CALL_TIMEOUT_S, RETRY, publisher, subscriber
from sluice.local.emulator_source import MAX_LEASE_S
from sluice.local.source import LEASE_MARGIN_S
from sluice.local.stack_settings import Push, StackSettings

_log = logging.getLogger(__name__)


def create_for_relay(settings: StackSettings, address: str) -> None:
    """Create the topics, the relayed subscriptions, and the pull subscriptions of the dead-letter topics.

    Blocks. A relayed subscription is a pull one for the emulator; its leases outlast a push and the
    longest pause before it, as far as the emulator allows.
    """
    with_policy = bool(settings.dead_letter_topic) and not settings.ordering
    if settings.ordering and settings.dead_letter_topic:
        # Observed with 0.8.20: after the last attempt, an ordered subscription's message disappears.
        _log.warning(
            "the official emulator loses the dead letters of ordered subscriptions: retrying indefinitely instead"
        )
    with publisher(address) as topics, subscriber(address) as subscriptions:
        for _, push in settings.pushes:
            _create(settings, push, topics, subscriptions, with_policy=with_policy)


def _create(
    settings: StackSettings, push: Push, topics: PublisherClient, subscriptions: SubscriberClient, *, with_policy: bool
) -> None:
    topic, dead_topic = settings.topic_name(push.topic), ""
    topics.create_topic(name=topic, retry=RETRY, timeout=CALL_TIMEOUT_S)
    if push.dead_letter_topic:
        dead_topic = settings.topic_name(push.dead_letter_topic)
        topics.create_topic(name=dead_topic, retry=RETRY, timeout=CALL_TIMEOUT_S)
        dead = Subscription(name=settings.subscription_name(f"{push.dead_letter_topic}-sub"), topic=dead_topic)
        subscriptions.create_subscription(request=dead, retry=RETRY, timeout=CALL_TIMEOUT_S)
    lease_s = round(settings.ack_deadline_s + settings.max_backoff_s + LEASE_MARGIN_S)
    policy = DeadLetterPolicy(dead_letter_topic=dead_topic, max_delivery_attempts=settings.max_attempts)
    relayed = Subscription(
        name=settings.subscription_name(push.subscription),
        topic=topic,
        # A message waits for the earlier ones of its key.
        ack_deadline_seconds=MAX_LEASE_S if settings.ordering else min(MAX_LEASE_S, lease_s),
        enable_message_ordering=settings.ordering,
        dead_letter_policy=policy if with_policy else None,
    )
    subscriptions.create_subscription(request=relayed, retry=RETRY, timeout=CALL_TIMEOUT_S)
