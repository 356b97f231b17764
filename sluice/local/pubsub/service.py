"""The public Pub/Sub methods over the broker, in the protobuf types of google-cloud-pubsub.

Requests and responses are the raw protobuf classes (`types.X.pb()`), which cost a tenth of the proto-plus
wrappers. Features of the real service that are missing here are refused by name, never ignored.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.errors import InvalidArgumentError, UnsupportedError
from sluice.local.pubsub.message import MICROSECONDS, Delivery, Draft
from sluice.local.pubsub.subscription import WEEK_S, SubscriptionSettings
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
# https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
MIN_RETENTION_S, MAX_RETENTION_S = 600, 31 * 24 * 3600
_SUPPORTED_FIELDS = {
    "name",
    "topic",
    "ack_deadline_seconds",
    "dead_letter_policy",
    "message_retention_duration",
    # Harmless here: no subscription expires.
    "labels",
    "expiration_policy",
}

_PROJECT = "/v1/projects/{project}"
_TOPIC = _PROJECT + "/topics/{id:[^/:]+}"
_SUBSCRIPTION = _PROJECT + "/subscriptions/{id:[^/:]+}"


class Method(NamedTuple):
    """A remote method: its name over gRPC, and over REST its verb, its path and the field that the path fills."""

    name: str
    service: str
    request: Any
    verb: str
    path: str
    field: str
    call: "_Call"


METHODS: list[Method] = []
"""Every remote method but StreamingPull, which REST does not have."""
_Call = Callable[["PubsubService", Proto], Awaitable[Proto]]


def _remote(service: str, request: Any, verb: str, path: str, field: str) -> Callable[[_Call], _Call]:
    """Register a method, with the class of its request, under its name in upper camel case."""

    def register(call: _Call) -> _Call:
        name = "".join(word.capitalize() for word in call.__name__.split("_"))
        METHODS.append(Method(name, service, request.pb(), verb, path, field, call))
        return call

    return register


class PubsubService:
    """One asynchronous method for each remote method, raising PubsubError."""

    def __init__(self, broker: Broker, pull_wait_s: float = 10.0) -> None:
        """Serve `broker`; a pull waits at most `pull_wait_s` for a first message."""
        self.broker = broker
        self._pull_wait_s = pull_wait_s

    @_remote("Publisher", types.Topic, "PUT", _TOPIC, "name")
    async def create_topic(self, request: Proto) -> Proto:
        """Topic -> Topic."""
        self.broker.create_topic(request.name)
        return TopicProto(name=request.name)

    @_remote("Publisher", types.GetTopicRequest, "GET", _TOPIC, "topic")
    async def get_topic(self, request: Proto) -> Proto:
        """GetTopicRequest -> Topic."""
        return TopicProto(name=self.broker.require_topic(request.topic))

    @_remote("Publisher", types.ListTopicsRequest, "GET", _PROJECT + "/topics", "project")
    async def list_topics(self, request: Proto) -> Proto:
        """ListTopicsRequest -> ListTopicsResponse."""
        names = self.broker.topics(_project(request.project))
        return ListTopicsResponse(topics=[TopicProto(name=name) for name in names])

    @_remote("Publisher", types.ListTopicSubscriptionsRequest, "GET", _TOPIC + "/subscriptions", "topic")
    async def list_topic_subscriptions(self, request: Proto) -> Proto:
        """ListTopicSubscriptionsRequest -> ListTopicSubscriptionsResponse."""
        return ListTopicSubscriptionsResponse(subscriptions=self.broker.subscriptions_of(request.topic))

    @_remote("Publisher", types.DeleteTopicRequest, "DELETE", _TOPIC, "topic")
    async def delete_topic(self, request: Proto) -> Proto:
        """DeleteTopicRequest -> Empty."""
        self.broker.delete_topic(request.topic)
        return Empty()

    @_remote("Publisher", types.PublishRequest, "POST", _TOPIC + ":publish", "topic")
    async def publish(self, request: Proto) -> Proto:
        """PublishRequest -> PublishResponse."""
        drafts = [Draft(m.data, dict(m.attributes), m.ordering_key) for m in request.messages]
        return PublishResponse(message_ids=self.broker.publish(request.topic, drafts))

    @_remote("Subscriber", types.Subscription, "PUT", _SUBSCRIPTION, "name")
    async def create_subscription(self, request: Proto) -> Proto:
        """Subscription -> Subscription."""
        settings = _settings(request)
        self.broker.create_subscription(settings)
        return _subscription_proto(settings)

    @_remote("Subscriber", types.GetSubscriptionRequest, "GET", _SUBSCRIPTION, "subscription")
    async def get_subscription(self, request: Proto) -> Proto:
        """GetSubscriptionRequest -> Subscription."""
        return _subscription_proto(self.broker.subscription(request.subscription).settings)

    @_remote("Subscriber", types.ListSubscriptionsRequest, "GET", _PROJECT + "/subscriptions", "project")
    async def list_subscriptions(self, request: Proto) -> Proto:
        """ListSubscriptionsRequest -> ListSubscriptionsResponse."""
        every = self.broker.subscriptions(_project(request.project))
        return ListSubscriptionsResponse(subscriptions=[_subscription_proto(each) for each in every])

    @_remote("Subscriber", types.UpdateSubscriptionRequest, "PATCH", _SUBSCRIPTION, "subscription.name")
    async def update_subscription(self, request: Proto) -> Proto:
        """UpdateSubscriptionRequest -> Subscription."""
        changes = _changes(request.subscription, request.update_mask.paths)
        return _subscription_proto(self.broker.update_subscription(request.subscription.name, changes))

    @_remote("Subscriber", types.ModifyPushConfigRequest, "POST", _SUBSCRIPTION + ":modifyPushConfig", "subscription")
    async def modify_push_config(self, request: Proto) -> Proto:
        """ModifyPushConfigRequest -> Empty."""
        changes = {"push_endpoint": _push_endpoint(request.push_config)}
        self.broker.update_subscription(request.subscription, changes)
        return Empty()

    @_remote("Subscriber", types.DeleteSubscriptionRequest, "DELETE", _SUBSCRIPTION, "subscription")
    async def delete_subscription(self, request: Proto) -> Proto:
        """DeleteSubscriptionRequest -> Empty."""
        self.broker.delete_subscription(request.subscription)
        return Empty()

    @_remote("Subscriber", types.PullRequest, "POST", _SUBSCRIPTION + ":pull", "subscription")
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

    @_remote("Subscriber", types.AcknowledgeRequest, "POST", _SUBSCRIPTION + ":acknowledge", "subscription")
    async def acknowledge(self, request: Proto) -> Proto:
        """AcknowledgeRequest -> Empty."""
        self.broker.pulled_subscription(request.subscription)
        self.broker.acknowledge(request.subscription, request.ack_ids)
        return Empty()

    @_remote("Subscriber", types.ModifyAckDeadlineRequest, "POST", _SUBSCRIPTION + ":modifyAckDeadline", "subscription")
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
    return SubscriptionSettings(
        name=request.name,
        topic=request.topic,
        ack_deadline_s=_ack_deadline_s(request),
        retention_s=_retention_s(request),
        dead_letter_topic=request.dead_letter_policy.dead_letter_topic,
        max_attempts=max_attempts,
    )


def _ack_deadline_s(subscription: Proto) -> int:
    deadline_s: int = subscription.ack_deadline_seconds or 10
    if not 10 <= deadline_s <= 600:
        raise InvalidArgumentError(f"ackDeadlineSeconds is {deadline_s}; it must be 10-600")
    return deadline_s


def _retention_s(subscription: Proto) -> float:
    if not subscription.HasField("message_retention_duration"):
        return WEEK_S
    retention_s: float = subscription.message_retention_duration.ToTimedelta().total_seconds()
    if not MIN_RETENTION_S <= retention_s <= MAX_RETENTION_S:
        raise InvalidArgumentError(f"messageRetentionDuration is {retention_s:g}s; it must be 10 minutes to 31 days")
    return retention_s


def _push_endpoint(push_config: Proto) -> str:
    """Return the push endpoint; empty pauses pushes."""
    for field, _ in push_config.ListFields():
        if field.name != "push_endpoint":
            raise UnsupportedError(f"the local Pub/Sub does not support pushConfig.{field.json_name}")
    endpoint: str = push_config.push_endpoint
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise InvalidArgumentError(f"pushEndpoint {endpoint!r} is not an http:// or https:// URL")
    return endpoint


def _changes(subscription: Proto, paths: Sequence[str]) -> dict[str, Any]:
    """Return the members of SubscriptionSettings that a field mask changes."""
    if not paths:
        raise InvalidArgumentError("the update mask is empty; name the fields to change")
    changes: dict[str, Any] = {}
    for path in paths:
        match path:
            case "message_retention_duration":
                changes["retention_s"] = _retention_s(subscription)
            case "ack_deadline_seconds":
                changes["ack_deadline_s"] = _ack_deadline_s(subscription)
            case "push_config" | "push_config.push_endpoint":
                changes["push_endpoint"] = _push_endpoint(subscription.push_config)
            case _:
                raise UnsupportedError(f"the local Pub/Sub cannot update {path}")
    return changes


def _subscription_proto(settings: SubscriptionSettings) -> Proto:
    proto = SubscriptionProto(
        name=settings.name,
        topic=settings.topic,
        ack_deadline_seconds=settings.ack_deadline_s,
        state=types.Subscription.State.ACTIVE,
    )
    proto.message_retention_duration.FromMicroseconds(round(settings.retention_s * MICROSECONDS))
    if settings.dead_letter_topic:
        proto.dead_letter_policy.dead_letter_topic = settings.dead_letter_topic
        proto.dead_letter_policy.max_delivery_attempts = settings.max_attempts
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
