"""The public Pub/Sub methods over the broker, in the protobuf types of google-cloud-pubsub.

Requests and responses are the raw protobuf classes (`types.X.pb()`), which cost a tenth of the proto-plus
wrappers. Features of the real service that are missing here are refused by name, never ignored.
"""

from collections.abc import Sequence
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.errors import InvalidArgumentError, UnsupportedError
from sluice.local.pubsub.message import MICROSECONDS, Delivery, Draft
from sluice.local.pubsub.subscription import SubscriptionSettings
from sluice.local.pubsub.updates import ack_deadline_of, changes_of, push_endpoint_of, retention_of
from sluice.local.pubsub.waiting import wait_ready

Proto = Any
"""A protobuf message: the generated classes carry no types of their own."""

TopicProto: Any = types.Topic.pb()
SubscriptionProto: Any = types.Subscription.pb()
PublishResponse: Any = types.PublishResponse.pb()
PullResponse: Any = types.PullResponse.pb()
StreamingPullResponse: Any = types.StreamingPullResponse.pb()
ListTopicsResponse: Any = types.ListTopicsResponse.pb()
ListSubscriptionsResponse: Any = types.ListSubscriptionsResponse.pb()
ListTopicSubscriptionsResponse: Any = types.ListTopicSubscriptionsResponse.pb()

MAX_PULL_MESSAGES = 1_000
STREAM_BATCH = 500
# With an emulator, google-cloud-pubsub's clients keep gRPC's default limit of 4 MiB for received messages.
MAX_PULL_BYTES = 3_500_000
_SUPPORTED_FIELDS = {
    "name",
    "topic",
    "ack_deadline_seconds",
    "enable_message_ordering",
    "dead_letter_policy",
    "retry_policy",
    "message_retention_duration",
    # Harmless here: no subscription expires.
    "labels",
    "expiration_policy",
}


class PubsubService:
    """One asynchronous method for each remote method, raising PubsubError."""

    def __init__(self, broker: Broker, pull_wait_s: float = 10.0) -> None:
        """Serve `broker`; a pull waits at most `pull_wait_s` for a first message."""
        self.broker = broker
        self._pull_wait_s = pull_wait_s

    async def create_topic(self, request: Proto) -> Proto:
        """Topic -> Topic."""
        self.broker.create_topic(request.name)
        return TopicProto(name=request.name)

    async def get_topic(self, request: Proto) -> Proto:
        """GetTopicRequest -> Topic."""
        return TopicProto(name=self.broker.require_topic(request.topic))

    async def list_topics(self, request: Proto) -> Proto:
        """ListTopicsRequest -> ListTopicsResponse."""
        names, next_token = _page(self.broker.topics(_project(request.project)), request)
        return ListTopicsResponse(topics=[TopicProto(name=name) for name in names], next_page_token=next_token)

    async def list_topic_subscriptions(self, request: Proto) -> Proto:
        """ListTopicSubscriptionsRequest -> ListTopicSubscriptionsResponse."""
        names, next_token = _page(self.broker.subscriptions_of(request.topic), request)
        return ListTopicSubscriptionsResponse(subscriptions=names, next_page_token=next_token)

    async def delete_topic(self, request: Proto) -> Proto:
        """DeleteTopicRequest -> Empty."""
        self.broker.delete_topic(request.topic)
        return Empty()

    async def publish(self, request: Proto) -> Proto:
        """PublishRequest -> PublishResponse."""
        drafts = [Draft(m.data, dict(m.attributes), m.ordering_key) for m in request.messages]
        return PublishResponse(message_ids=self.broker.publish(request.topic, drafts))

    async def create_subscription(self, request: Proto) -> Proto:
        """Subscription -> Subscription."""
        settings = _settings(request)
        self.broker.create_subscription(settings)
        return _subscription_proto(settings)

    async def get_subscription(self, request: Proto) -> Proto:
        """GetSubscriptionRequest -> Subscription."""
        return _subscription_proto(self.broker.subscription(request.subscription).settings)

    async def list_subscriptions(self, request: Proto) -> Proto:
        """ListSubscriptionsRequest -> ListSubscriptionsResponse."""
        every = {each.name: each for each in self.broker.subscriptions(_project(request.project))}
        names, next_token = _page(list(every), request)
        return ListSubscriptionsResponse(
            subscriptions=[_subscription_proto(every[name]) for name in names], next_page_token=next_token
        )

    async def update_subscription(self, request: Proto) -> Proto:
        """UpdateSubscriptionRequest -> Subscription."""
        changes = changes_of(request.subscription, list(request.update_mask.paths))
        return _subscription_proto(self.broker.update_subscription(request.subscription.name, changes))

    async def modify_push_config(self, request: Proto) -> Proto:
        """ModifyPushConfigRequest -> Empty."""
        changes = {"push_endpoint": push_endpoint_of(request.push_config)}
        self.broker.update_subscription(request.subscription, changes)
        return Empty()

    async def delete_subscription(self, request: Proto) -> Proto:
        """DeleteSubscriptionRequest -> Empty."""
        self.broker.delete_subscription(request.subscription)
        return Empty()

    async def pull(self, request: Proto) -> Proto:
        """PullRequest -> PullResponse, empty if nothing arrived in time."""
        name = request.subscription
        self.broker.pulled_subscription(name)
        if request.max_messages < 1:
            raise InvalidArgumentError(f"maxMessages is {request.max_messages}; it must be at least 1")
        if not request.return_immediately:
            await wait_ready(self.broker, name, self._pull_wait_s)
        deliveries = self.broker.pull(name, min(request.max_messages, MAX_PULL_MESSAGES), None, MAX_PULL_BYTES)
        return PullResponse(received_messages=self._received(name, deliveries))

    async def acknowledge(self, request: Proto) -> Proto:
        """AcknowledgeRequest -> Empty."""
        self.broker.pulled_subscription(request.subscription)
        self.broker.acknowledge(request.subscription, request.ack_ids)
        return Empty()

    async def modify_ack_deadline(self, request: Proto) -> Proto:
        """ModifyAckDeadlineRequest -> Empty."""
        if not 0 <= request.ack_deadline_seconds <= 600:
            raise InvalidArgumentError(f"ackDeadlineSeconds is {request.ack_deadline_seconds}; it must be 0-600")
        self.broker.pulled_subscription(request.subscription)
        self.broker.modify_ack_deadline(request.subscription, request.ack_ids, request.ack_deadline_seconds)
        return Empty()

    def stream_settle(self, name: str, request: Proto) -> None:
        """Apply the acknowledgements and deadlines of one StreamingPullRequest."""
        self.broker.acknowledge(name, request.ack_ids)
        for ack_id, lease_s in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=False):
            self.broker.modify_ack_deadline(name, [ack_id], lease_s)

    async def stream_next(self, name: str, max_outstanding: int, lease_s: float | None) -> Proto:
        """Wait for messages and return them as a StreamingPullResponse, within the stream's flow control."""
        await wait_ready(self.broker, name)
        subscription = self.broker.pulled_subscription(name)
        room = max_outstanding - subscription.outstanding if max_outstanding > 0 else STREAM_BATCH
        deliveries = self.broker.pull(name, max(0, min(room, STREAM_BATCH)), lease_s, MAX_PULL_BYTES)
        return StreamingPullResponse(received_messages=self._received(name, deliveries))

    def _received(self, name: str, deliveries: Sequence[Delivery]) -> list[Proto]:
        with_attempt = bool(self.broker.subscription(name).settings.dead_letter_topic)
        return [_received_proto(delivery, with_attempt=with_attempt) for delivery in deliveries]


def _project(text: str) -> str:
    if not text.startswith("projects/") or text.count("/") != 1:
        raise InvalidArgumentError(f"{text!r} is not a name like projects/PROJECT")
    return text.removeprefix("projects/")


def _page(names: list[str], request: Proto) -> tuple[list[str], str]:
    """Cut one page out of sorted names; the token is the last name of the page before."""
    rest = [name for name in names if name > request.page_token]
    size = request.page_size or len(rest)
    return rest[:size], rest[size - 1] if len(rest) > size else ""


def _settings(request: Proto) -> SubscriptionSettings:
    for field, _ in request.ListFields():
        if field.name == "push_config" and not request.push_config.push_endpoint:
            continue  # an empty push configuration means pull
        if field.name not in _SUPPORTED_FIELDS:
            hint = "; `sluice pubsub --push-endpoint` sets one up" if field.name == "push_config" else ""
            raise UnsupportedError(f"the local Pub/Sub does not support {field.json_name}{hint}")
    max_attempts = request.dead_letter_policy.max_delivery_attempts or 5
    if not 5 <= max_attempts <= 100:
        raise InvalidArgumentError(f"maxDeliveryAttempts is {max_attempts}; it must be 5-100")
    retry = request.retry_policy
    with_retry = request.HasField("retry_policy")
    return SubscriptionSettings(
        name=request.name,
        topic=request.topic,
        ack_deadline_s=ack_deadline_of(request),
        retention_s=retention_of(request),
        ordering=request.enable_message_ordering,
        dead_letter_topic=request.dead_letter_policy.dead_letter_topic,
        max_attempts=max_attempts,
        # 10 s and 600 s are the service's defaults for a retry policy.
        min_backoff_s=_seconds(retry, "minimum_backoff", 10.0) if with_retry else 0.0,
        max_backoff_s=_seconds(retry, "maximum_backoff", 600.0) if with_retry else 0.0,
    )


def _seconds(retry: Proto, field: str, default_s: float) -> float:
    if not retry.HasField(field):
        return default_s
    return float(getattr(retry, field).ToTimedelta().total_seconds())


def _subscription_proto(settings: SubscriptionSettings) -> Proto:
    proto = SubscriptionProto(
        name=settings.name,
        topic=settings.topic,
        ack_deadline_seconds=settings.ack_deadline_s,
        enable_message_ordering=settings.ordering,
        state=types.Subscription.State.ACTIVE,
    )
    proto.message_retention_duration.FromMicroseconds(round(settings.retention_s * MICROSECONDS))
    if settings.dead_letter_topic:
        proto.dead_letter_policy.dead_letter_topic = settings.dead_letter_topic
        proto.dead_letter_policy.max_delivery_attempts = settings.max_attempts
    if settings.max_backoff_s:
        proto.retry_policy.minimum_backoff.FromMicroseconds(round(settings.min_backoff_s * MICROSECONDS))
        proto.retry_policy.maximum_backoff.FromMicroseconds(round(settings.max_backoff_s * MICROSECONDS))
    proto.push_config.push_endpoint = settings.push_endpoint
    return proto


def _received_proto(delivery: Delivery, *, with_attempt: bool) -> Proto:
    received = types.ReceivedMessage.pb()()
    received.ack_id = delivery.ack_id
    received.delivery_attempt = delivery.attempt if with_attempt else 0
    message, out = delivery.message, received.message
    out.data = message.data
    out.attributes.update(message.attributes)
    out.message_id = message.message_id
    out.ordering_key = message.ordering_key
    out.publish_time.FromMicroseconds(message.publish_time_us)
    return received
