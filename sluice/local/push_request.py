"""The body and headers of one push, exactly as the real service sends them.

https://cloud.google.com/pubsub/docs/push#receive_push, with both spellings of the id and time.
"""

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from sluice.local.pubsub.message import Delivery, format_time

RequestBuilder = Callable[[Delivery], tuple[bytes, dict[str, str]]]
"""Delivery -> body, headers (without Authorization)."""

_ENCODE = msgspec.json.Encoder().encode
_JSON_HEADERS = {"Content-Type": "application/json"}


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
