"""Messages, deliveries, resource names, and the service's limits on them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from sluice.local.pubsub.errors import InvalidArgumentError

MICROSECONDS = 1_000_000

# https://cloud.google.com/pubsub/quotas#resource_limits
MAX_PUBLISH_BYTES = 10_000_000
MAX_PUBLISH_MESSAGES = 1_000
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_KEY_BYTES = 256
MAX_ATTRIBUTE_VALUE_BYTES = 1_024
MAX_ORDERING_KEY_BYTES = 1_024

_RESOURCE = re.compile(r"projects/([^/]+)/(topics|subscriptions)/([^/]+)")
_PROJECT_ID = re.compile(r"[a-z][a-z0-9.:-]{1,99}")
_RESOURCE_ID = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")


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


def check_name(name: str, collection: str) -> str:
    """Return `name` if it is `projects/P/{collection}/R` and follows the naming rules.

    The rules: https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names. Raises InvalidArgumentError with the
    violated rule.
    """
    parts = _RESOURCE.fullmatch(name)
    if not parts or parts[2] != collection:
        raise InvalidArgumentError(f"{name!r} is not a name like projects/PROJECT/{collection}/NAME")
    if not _PROJECT_ID.fullmatch(parts[1]):
        raise InvalidArgumentError(
            f"project id {parts[1]!r} in {name!r}: lower-case letters, digits and dashes, a letter first"
        )
    if not _RESOURCE_ID.fullmatch(parts[3]) or parts[3].startswith("goog"):
        raise InvalidArgumentError(
            f"{parts[3]!r} in {name!r}: 3-255 letters, digits or any of -_.~+%, a letter first, "
            "and not starting with goog"
        )
    return name


def project_of(name: str) -> str:
    """Return the project id of a checked resource name."""
    return name.split("/", 2)[1]


def check_publish(drafts: Sequence[Draft]) -> None:
    """Raise InvalidArgumentError if a publish request exceeds a limit of the service."""
    if not drafts:
        raise InvalidArgumentError("a publish request needs at least one message")
    if len(drafts) > MAX_PUBLISH_MESSAGES:
        raise InvalidArgumentError(
            f"{len(drafts)} messages in one publish request; the limit is {MAX_PUBLISH_MESSAGES}"
        )
    total_bytes = sum(_check_draft(index, draft) for index, draft in enumerate(drafts))
    if total_bytes > MAX_PUBLISH_BYTES:
        raise InvalidArgumentError(
            f"a publish request of {total_bytes} bytes; the limit is {MAX_PUBLISH_BYTES} (10 MB)"
        )


def _check_draft(index: int, draft: Draft) -> int:
    if not draft.data and not draft.attributes:
        raise InvalidArgumentError(f"messages[{index}] needs data or at least one attribute")
    size = len(draft.data)
    if draft.ordering_key:
        size += _check_text(draft.ordering_key, MAX_ORDERING_KEY_BYTES, f"messages[{index}].orderingKey")
    if len(draft.attributes) > MAX_ATTRIBUTES:
        raise InvalidArgumentError(
            f"messages[{index}] has {len(draft.attributes)} attributes; the limit is {MAX_ATTRIBUTES}"
        )
    for key, value in draft.attributes.items():
        if not key:
            raise InvalidArgumentError(f"messages[{index}] has an attribute without a name")
        size += _check_text(key, MAX_ATTRIBUTE_KEY_BYTES, f"messages[{index}] attribute name {key[:40]!r}")
        size += _check_text(value, MAX_ATTRIBUTE_VALUE_BYTES, f"messages[{index}].attributes[{key!r}]")
    return size


def _check_text(text: str, max_bytes: int, what: str) -> int:
    size = len(text.encode())
    if size > max_bytes:
        raise InvalidArgumentError(f"{what} is {size} bytes; the limit is {max_bytes}")
    return size
