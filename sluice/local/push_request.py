"""The body and headers of one push, exactly as the real service sends them.

Wrapped: https://cloud.google.com/pubsub/docs/push#receive_push, with both spellings of the id and time.
Unwrapped: https://cloud.google.com/pubsub/docs/payload-unwrapping, with metadata written.
"""

import base64
import re
from collections.abc import Callable
from typing import Any

import msgspec

from sluice.local.pubsub.message import Delivery, format_time

RequestBuilder = Callable[[Delivery], tuple[bytes, dict[str, str]]]
"""Delivery -> body, headers (without Authorization)."""

_ENCODE = msgspec.json.Encoder().encode
_JSON_HEADERS = {"Content-Type": "application/json"}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_OWN_HEADERS = frozenset(
    ("authorization", "connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade")
)


def wrapped(subscription: str, *, with_attempt: bool) -> RequestBuilder:
    """Return a builder of JSON envelopes.

    `with_attempt` (subscriptions with a dead-letter policy) adds the top-level `deliveryAttempt`; data,
    attributes and orderingKey are left out when empty.
    """

    def build(delivery: Delivery) -> tuple[bytes, dict[str, str]]:
        message = delivery.message
        time = format_time(message.publish_time_us)
        inner: dict[str, Any] = {}
        if message.attributes:
            inner["attributes"] = message.attributes
        if message.data:
            inner["data"] = base64.b64encode(message.data).decode()
        inner["messageId"] = inner["message_id"] = message.message_id
        if message.ordering_key:
            inner["orderingKey"] = message.ordering_key
        inner["publishTime"] = inner["publish_time"] = time
        envelope: dict[str, Any] = {"message": inner, "subscription": subscription}
        if with_attempt:
            envelope["deliveryAttempt"] = delivery.attempt
        return _ENCODE(envelope), _JSON_HEADERS

    return build


def unwrapped(subscription: str) -> RequestBuilder:
    """Return a builder of raw payloads, attributes and metadata as headers.

    An attribute that is not a valid header, or would replace one of the request's own, is left out.
    """

    def build(delivery: Delivery) -> tuple[bytes, dict[str, str]]:
        message = delivery.message
        headers = {key: value for key, value in message.attributes.items() if _is_header(key, value)}
        headers["x-goog-pubsub-subscription-name"] = subscription
        headers["x-goog-pubsub-message-id"] = message.message_id
        headers["x-goog-pubsub-publish-time"] = format_time(message.publish_time_us)
        if message.ordering_key:
            headers["x-goog-pubsub-ordering-key"] = message.ordering_key
        return message.data, headers

    return build


def _is_header(key: str, value: str) -> bool:
    lowered = key.lower()
    return (
        _HEADER_NAME.fullmatch(key) is not None
        and _HEADER_VALUE.fullmatch(value) is not None
        and lowered not in _OWN_HEADERS
        and not lowered.startswith("x-goog-pubsub-")
    )
