"""Open a Pub/Sub push: a request's headers and body become a Message.

A push subscription has two forms (https://cloud.google.com/pubsub/docs/push). Wrapped is a JSON envelope with the data
in base64. Unwrapped is the data as the body, with the metadata in `x-goog-pubsub-*` headers.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from app.auth.signatures import NO_POWERS, NO_PROOFS, Proofs
from app.record import CANARY_PREFIX
from app.runtime.instants import epoch_us
from app.schema.values import instant_problem
from app.telemetry.tracing import Parent, parse_traceparent

Headers = Sequence[tuple[bytes, bytes]]

MAX_MESSAGE_ID_LENGTH = 128  # Pub/Sub's are 16 digits or so; cursors carry them
# 100 attributes of 256 + 1,024 bytes: https://cloud.google.com/pubsub/quotas#resource_limits
MAX_ATTRIBUTES_LENGTH = 128_000
# The data is base64, so only the attributes, whose length is limited, can contain many quotes. A million of them would
# take half a second to decode, on the event loop.
_MAX_QUOTES = 4 * MAX_ATTRIBUTES_LENGTH
_FIND_FIRST = 1_000  # over base64, `count` takes up to 30 times as long as `find`; most pushes have 30 quotes
_METADATA = b"x-goog-pubsub-"
_MESSAGE_ID = _METADATA + b"message-id"
_TRACEPARENT = "googclient_traceparent"  # where Pub/Sub's client libraries put the publisher's trace
_WRITE_METADATA = (
    "A subscription that unwraps payloads must also write metadata (gcloud: --push-no-wrapper-write-metadata), because "
    "the message's id and publish time are in x-goog-pubsub-* headers then"
)
# Headers of the transport, which an unwrapped push mixes with the message's attributes.
_TRANSPORT = frozenset(
    b"accept accept-encoding authorization cache-control connection content-length cookie date expect forwarded from "
    b"host keep-alive proxy-authorization te traceparent tracestate trailer transfer-encoding upgrade user-agent via "
    b"x-cloud-trace-context x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-real-ip "
    b"x-request-id x-serverless-authorization".split()
)


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # no cycles, and there are many
    """One message as it was delivered, by Pub/Sub or over HTTP.

    `key` is the same for every copy of one message. For Pub/Sub it is the id and publish time, as ids are unique only
    within a topic; over HTTP, the caller and its Idempotency-Key. `delivery` is the prefix of its records' delivery
    keys, `key` itself if empty. `replay_of` is the delivery key of the rejected record that the message replays.
    `unproved` names an attribute without power, as its signature is missing or wrong, and
    `unroutable` says why no stream takes it (app.streams). The rejects of one that `may_be_personal` withhold
    its bytes.
    """

    key: str
    data: bytes
    delivery: str = ""
    replay_of: str = ""
    unproved: str = ""
    unroutable: str = ""
    may_be_personal: bool = False
    content_type: str = ""
    content_encoding: str = ""
    attributes: Mapping[str, str] = {}
    subscription_name: str | None = None
    message_id: str | None = None
    publish_time: datetime | None = None
    ordering_key: str | None = None
    trace_id: str | None = None
    published_us: int | None = None
    """The publish time, as microseconds since the epoch."""
    parent: Parent | None = None
    """The span that published it, if the publisher says."""
    span: Any = None
    """The span of its processing, if its trace is recorded; `Any`, since the worker process imports no telemetry."""

    @property
    def is_canary(self) -> bool:
        """Whether its records only measure: their delivery keys say so, and reads omit them."""
        return bool(self.delivery) and self.delivery.startswith(CANARY_PREFIX)

    def delivery_key(self, index: int) -> str:
        """Return the delivery key of the record at `index`: rows that share it are copies of one delivery."""
        if self.replay_of and not index:
            return self.replay_of
        return f"{self.delivery or self.key}:{index}"

    def envelope(self) -> dict[str, Any]:
        """Return the envelope columns that its records share: not `message_index`, `delivery_key`, `ingest_time`."""
        return {
            "subscription_name": self.subscription_name,
            "message_id": self.message_id,
            "publish_time": self.publish_time,
            "attributes": self.attributes,
            "ordering_key": self.ordering_key,
            "trace_id": self.trace_id,
        }


class EnvelopeError(Exception):
    """The request is not a Pub/Sub push; the message says what is missing or wrong."""


class PushMessage(msgspec.Struct, rename="camel"):
    """A message as Pub/Sub pushes it."""

    message_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_MESSAGE_ID_LENGTH)]
    publish_time: datetime
    data: Annotated[bytes, msgspec.Meta(description="One record or several, in base64.")] = b""
    attributes: dict[str, str] | None = None
    ordering_key: str | None = None


class Push(msgspec.Struct):
    """A wrapped message.

    An unwrapped message has its data as the body, with any content type, and its metadata in `x-goog-pubsub-*` headers.
    """

    message: PushMessage
    subscription: str | None = None


_wrapped = msgspec.json.Decoder(Push)


def open_push(headers: Mapping[bytes, bytes], body: bytes, proofs: Proofs = NO_PROOFS) -> Message:
    """Return the message of a push request; `headers` are by name, in lower case, and `proofs` check its signature.

    Raises:
        EnvelopeError: the request is neither a wrapped nor an unwrapped push.
    """
    if _MESSAGE_ID in headers:
        return _open_unwrapped(headers, body, proofs)
    if len(body) > _MAX_QUOTES and _quotes(body) > _MAX_QUOTES:
        raise EnvelopeError("expected a Pub/Sub push body, but it has more members than any push message")
    try:
        wrapped = _wrapped.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError(
            f'expected a Pub/Sub push body such as {{"message": {{…}}}}: {error}. {_WRITE_METADATA}'
        ) from None
    inner = wrapped.message
    return message_of(
        data=inner.data,
        attributes=inner.attributes or {},
        subscription=wrapped.subscription,
        message_id=inner.message_id,
        publish_time=inner.publish_time,
        ordering_key=inner.ordering_key,
        proofs=proofs,
    )


def _quotes(body: bytes) -> int:
    """Return how many quotes there are, fast if they are few."""
    at = -1
    for count in range(_FIND_FIRST):
        at = body.find(b'"', at + 1)
        if at < 0:
            return count
    return _FIND_FIRST + body.count(b'"', at + 1)


def _open_unwrapped(headers: Mapping[bytes, bytes], body: bytes, proofs: Proofs) -> Message:
    publish_time = headers.get(_METADATA + b"publish-time")
    try:
        published = msgspec.convert(_text(publish_time), datetime) if publish_time else None
    except msgspec.ValidationError:
        raise EnvelopeError("x-goog-pubsub-publish-time: expected RFC 3339 such as 2026-01-31T12:00:00Z") from None
    return message_of(
        data=body,
        attributes={
            _text(name): _text(value)
            for name, value in headers.items()
            if name not in _TRANSPORT and not name.startswith(_METADATA)
        },
        subscription=_text(headers.get(_METADATA + b"subscription-name", b"")) or None,
        message_id=_text(headers[_MESSAGE_ID]),
        publish_time=published,
        ordering_key=_text(headers.get(_METADATA + b"ordering-key", b"")) or None,
        proofs=proofs,
    )


def message_of(  # noqa: PLR0913 - the parts of one message
    *,
    data: bytes,
    attributes: Mapping[str, str],
    subscription: str | None,
    message_id: str | None,
    publish_time: datetime | None,
    ordering_key: str | None,
    proofs: Proofs,
) -> Message:
    """Return the message of these parts, whose attributes have the powers that `proofs` find.

    Raises:
        EnvelopeError: a part is missing or wrong; the text names it as a wrapped push does.
    """
    if not message_id or len(message_id) > MAX_MESSAGE_ID_LENGTH:
        raise EnvelopeError(f"message.messageId: expected 1 to {MAX_MESSAGE_ID_LENGTH} characters")
    if publish_time is None:
        raise EnvelopeError("message.publishTime is missing: the delivery key is derived from it and the message id")
    reason = instant_problem(publish_time)
    if reason is not None:
        raise EnvelopeError(f"message.publishTime {reason}")
    if attributes and sum(len(name) + len(value) for name, value in attributes.items()) > MAX_ATTRIBUTES_LENGTH:
        raise EnvelopeError(
            f"message.attributes: more than {MAX_ATTRIBUTES_LENGTH} characters, which exceeds Pub/Sub's limit"
        )
    published_us = epoch_us(publish_time)
    traceparent = attributes.get(_TRACEPARENT)
    parent = parse_traceparent(traceparent) if traceparent else None
    key = f"{message_id}:{published_us}"
    powers = proofs.powers(attributes, data) if attributes else NO_POWERS
    attributes = powers.attributes
    return Message(
        key=key,
        delivery=CANARY_PREFIX + key if powers.is_canary else "",
        data=data,
        replay_of=powers.replay_of,
        unproved=powers.unproved,
        content_type=attributes.get("content-type", ""),
        content_encoding=attributes.get("content-encoding", ""),
        attributes=attributes,
        subscription_name=subscription,
        message_id=message_id,
        publish_time=publish_time,
        ordering_key=ordering_key or None,
        trace_id=parent.trace_id if parent else None,
        published_us=published_us,
        parent=parent,
    )


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")  # the default of HTTP/1 headers
