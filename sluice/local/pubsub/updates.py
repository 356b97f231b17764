"""What an UpdateSubscription may change, and within which limits.

The limits: https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
"""

from collections.abc import Callable, Sequence
from typing import Any

from sluice.local.pubsub.errors import InvalidArgumentError, UnsupportedError
from sluice.local.pubsub.subscription import WEEK_S

Proto = Any
"""A protobuf message: the generated classes carry no types of their own."""

MIN_RETENTION_S, MAX_RETENTION_S = 600, 31 * 24 * 3600


def ack_deadline_of(subscription: Proto) -> int:
    """Return the ack deadline in seconds; 0 means the default. Raises InvalidArgumentError."""
    deadline_s: int = subscription.ack_deadline_seconds or 10
    if not 10 <= deadline_s <= 600:
        raise InvalidArgumentError(f"ackDeadlineSeconds is {deadline_s}; it must be 10-600")
    return deadline_s


def retention_of(subscription: Proto) -> float:
    """Return the retention in seconds; absent means a week. Raises InvalidArgumentError."""
    if not subscription.HasField("message_retention_duration"):
        return WEEK_S
    retention_s: float = subscription.message_retention_duration.ToTimedelta().total_seconds()
    if not MIN_RETENTION_S <= retention_s <= MAX_RETENTION_S:
        raise InvalidArgumentError(f"messageRetentionDuration is {retention_s:g}s; it must be 10 minutes to 31 days")
    return retention_s


def push_endpoint_of(push_config: Proto) -> str:
    """Return the push endpoint; empty pauses pushes. Raises UnsupportedError or InvalidArgumentError."""
    for field, _ in push_config.ListFields():
        if field.name != "push_endpoint":
            raise UnsupportedError(f"the local Pub/Sub does not support pushConfig.{field.json_name}")
    endpoint: str = push_config.push_endpoint
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise InvalidArgumentError(f"pushEndpoint {endpoint!r} is not an http:// or https:// URL")
    return endpoint


_CHANGES: dict[str, tuple[str, Callable[[Proto], Any]]] = {
    "message_retention_duration": ("retention_s", retention_of),
    "ack_deadline_seconds": ("ack_deadline_s", ack_deadline_of),
    "push_config": ("push_endpoint", lambda subscription: push_endpoint_of(subscription.push_config)),
    "push_config.push_endpoint": ("push_endpoint", lambda subscription: push_endpoint_of(subscription.push_config)),
}
"""Path of the field mask -> member of SubscriptionSettings, and how its value is read."""


def changes_of(subscription: Proto, paths: Sequence[str]) -> dict[str, Any]:
    """Return the members to change. Raises InvalidArgumentError or UnsupportedError."""
    if not paths:
        raise InvalidArgumentError("the update mask is empty; name the fields to change")
    changes = {}
    for path in paths:
        if path not in _CHANGES:
            raise UnsupportedError(f"the local Pub/Sub cannot update {path}; it can: {', '.join(_CHANGES)}")
        member, read = _CHANGES[path]
        changes[member] = read(subscription)
    return changes
