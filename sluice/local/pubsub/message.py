"""Messages, deliveries, refusals, and the real service's limits on a publish request."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

MICROSECONDS = 1_000_000

# https://cloud.google.com/pubsub/quotas#resource_limits
MAX_PUBLISH_BYTES = 10_000_000
MAX_PUBLISH_MESSAGES = 1_000
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_VALUE_BYTES = 1_024
MAX_ORDERING_KEY_BYTES = 1_024

Status = Literal["INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND", "UNIMPLEMENTED"]
HTTP_STATUS: dict[Status, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 501,
}


class PubsubError(Exception):
    """A request that is refused, with gRPC's name of the status; the message is for the person who made it."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status


class Draft(msgspec.Struct, frozen=True):
    """A message as the publisher sends it."""

    data: bytes
    attributes: dict[str, str] = {}
    ordering_key: str = ""


class Message(msgspec.Struct, frozen=True):
    """A published message. `publish_time_us` is a whole number of milliseconds, as the real service stamps."""

    data: bytes
    attributes: dict[str, str]
    ordering_key: str
    message_id: str
    publish_time_us: int


class Delivery(msgspec.Struct, frozen=True):
    """One lease of a message: `attempt` counts from 1."""

    ack_id: str
    message: Message
    attempt: int


def format_time(time_us: int) -> str:
    """Return RFC 3339 with milliseconds and `Z`, as the real service writes publish times."""
    seconds, fraction_us = divmod(time_us, MICROSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction_us // 1000:03d}Z"


def check_publish(drafts: Sequence[Draft]) -> None:
    """Raise PubsubError if a publish request exceeds a limit of the service."""
    if not drafts:
        raise PubsubError("INVALID_ARGUMENT", "a publish request needs at least one message")
    if len(drafts) > MAX_PUBLISH_MESSAGES:
        raise PubsubError(
            "INVALID_ARGUMENT", f"{len(drafts)} messages in one publish request; the limit is {MAX_PUBLISH_MESSAGES}"
        )
    total_bytes = sum(_check_draft(index, draft) for index, draft in enumerate(drafts))
    if total_bytes > MAX_PUBLISH_BYTES:
        raise PubsubError(
            "INVALID_ARGUMENT", f"a publish request of {total_bytes} bytes; the limit is {MAX_PUBLISH_BYTES} (10 MB)"
        )


def _check_draft(index: int, draft: Draft) -> int:
    if not draft.data and not draft.attributes:
        raise PubsubError("INVALID_ARGUMENT", f"messages[{index}] needs data or at least one attribute")
    size = len(draft.data)
    if draft.ordering_key:
        size += _check_text(draft.ordering_key, MAX_ORDERING_KEY_BYTES, f"messages[{index}].orderingKey")
    if len(draft.attributes) > MAX_ATTRIBUTES:
        raise PubsubError(
            "INVALID_ARGUMENT",
            f"messages[{index}] has {len(draft.attributes)} attributes; the limit is {MAX_ATTRIBUTES}",
        )
    for key, value in draft.attributes.items():
        if not key:
            raise PubsubError("INVALID_ARGUMENT", f"messages[{index}] has an attribute without a name")
        size += _check_text(key, MAX_ATTRIBUTE_KEY_BYTES, f"messages[{index}] attribute name {key[:40]!r}")
        size += _check_text(value, MAX_ATTRIBUTE_VALUE_BYTES, f"messages[{index}].attributes[{key!r}]")
    return size


def _check_text(text: str, max_bytes: int, what: str) -> int:
    size = len(text.encode())
    if size > max_bytes:
        raise PubsubError("INVALID_ARGUMENT", f"{what} is {size} bytes; the limit is {max_bytes}")
    return size
