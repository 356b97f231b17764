"""Opening pushes: both forms, both spellings, and what is not one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.ingest.decode.envelope import MAX_ATTRIBUTES_LENGTH, EnvelopeError, Message, open_push
from app.telemetry.tracing import Parent, parse_traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def wrapped(message: bytes, rest: bytes = b"") -> Message:
    """Open a wrapped push of this `message` member."""
    return open_push({b"content-type": b"application/json"}, b'{"message":' + message + rest + b"}")


def test_a_wrapped_push_in_the_services_full_form() -> None:
    """Everything that Pub/Sub sends finds its place; its traces are those of the publisher."""
    message = wrapped(
        b'{"attributes":{"content-type":"application/x-ndjson","content-encoding":"gzip",'
        b'"googclient_traceparent":"' + TRACEPARENT.encode() + b'"},"data":"aGk=","messageId":"7","message_id":"7",'
        b'"orderingKey":"k","publishTime":"2026-01-31T12:00:00.5Z","publish_time":"2026-01-31T12:00:00.5Z"}',
        b',"subscription":"projects/p/subscriptions/s","deliveryAttempt":3',
    )
    assert message == Message(
        key="7:1769860800500000",
        data=b"hi",
        content_type="application/x-ndjson",
        content_encoding="gzip",
        attributes={
            "content-type": "application/x-ndjson",
            "content-encoding": "gzip",
            "googclient_traceparent": TRACEPARENT,
        },
        subscription_name="projects/p/subscriptions/s",
        message_id="7",
        publish_time=datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC),
        ordering_key="k",
        trace_id=TRACE,
        published_us=1_769_860_800_500_000,
        parent=Parent(TRACE, "b7ad6b7169203331", sampled=True),
    )


@pytest.mark.parametrize(
    "message",
    [
        b'{"messageId":"7","publishTime":"2026-01-31T12:00:00Z","orderingKey":"k"}',
        b'{"messageId":"7","publishTime":"2026-01-31T13:00:00+01:00","orderingKey":"k","attributes":null,"future":1}',
    ],
)
def test_most_members_may_be_absent(message: bytes) -> None:
    """Data, attributes, ordering key and the subscription are optional, and unknown members are let be."""
    opened = wrapped(message)
    assert (opened.key, opened.ordering_key, opened.data) == ("7:1769860800000000", "k", b"")
    assert opened.attributes == {}
    assert opened.subscription_name is None
    assert (opened.content_type, opened.content_encoding) == ("", "")


def test_an_unwrapped_push() -> None:
    """The body is the data, the metadata are headers, and attributes are the headers that are no transport's."""
    message = open_push(
        {
            b"host": b"example.org",
            b"authorization": b"Bearer secret",
            b"content-type": b"application/json",
            b"x-goog-pubsub-message-id": b"7",
            b"x-goog-pubsub-publish-time": b"2026-01-31T12:00:00Z",
            b"x-goog-pubsub-subscription-name": b"projects/p/subscriptions/s",
            b"x-goog-pubsub-ordering-key": b"k",
            b"googclient_traceparent": TRACEPARENT.encode(),
            b"origin": "Zürich".encode(),
            b"legacy": b"caf\xe9",
        },
        b"{}",
    )
    assert (message.key, message.data, message.content_type) == ("7:1769860800000000", b"{}", "application/json")
    assert message.subscription_name == "projects/p/subscriptions/s"
    assert (message.ordering_key, message.trace_id) == ("k", TRACE)
    assert message.attributes == {
        "content-type": "application/json",
        "googclient_traceparent": TRACEPARENT,
        "origin": "Zürich",
        "legacy": "café",
    }


def test_wrapped_and_unwrapped_copies_of_a_message_have_one_key() -> None:
    """Changing the subscription's form does not make copies of what was delivered before."""
    one = wrapped(b'{"messageId":"7","publishTime":"2026-01-31T12:00:00.123Z"}')
    headers = [(b"x-goog-pubsub-message-id", b"7"), (b"x-goog-pubsub-publish-time", b"2026-01-31T12:00:00.123000Z")]
    assert one == open_push(dict(headers), b"")


def test_the_records_of_a_message_share_its_columns() -> None:
    """Whatever is not said is NULL."""
    message = Message(
        key="7:1769860800000000",
        data=b"",
        attributes={"a": "b"},
        subscription_name="s",
        message_id="7",
        publish_time=datetime(2026, 1, 31, 12, tzinfo=UTC),
        ordering_key="k",
        trace_id=TRACE,
    )
    assert message.envelope() == {
        "subscription_name": "s",
        "message_id": "7",
        "publish_time": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "attributes": {"a": "b"},
        "ordering_key": "k",
        "trace_id": TRACE,
    }
    empty = Message(key="k", data=b"").envelope()
    assert empty == dict.fromkeys(message.envelope()) | {"attributes": {}}


@pytest.mark.parametrize(
    "members", ['"messageId":"%s"' % ("7" * 128), '"messageId":"7","attributes":{"a":"%s"}' % ("x" * 127_999)]
)
def test_what_is_just_as_long_as_it_may_be_is_taken(members: str) -> None:
    """The limits are Pub/Sub's own."""
    message = f'{{{members},"publishTime":"2026-01-31T12:00:00Z"}}'
    assert wrapped(message.encode()).published_us == 1_769_860_800_000_000


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"{}", "missing required field `messageId` - at `"),
        (b'{"messageId":"","publishTime":"2026-01-31T12:00:00Z"}', "messageId"),
        (b'{"messageId":"' + b"7" * 129 + b'","publishTime":"2026-01-31T12:00:00Z"}', "messageId"),
        (b'{"messageId":7}', "messageId"),
        (b'{"messageId":"7"}', "missing required field `publishTime`"),
        (b'{"messageId":"7","publishTime":"0001-01-01T00:00:00+14:00"}', "publishTime is outside the years"),
        (b'{"messageId":"7","publishTime":"9999-12-31T23:59:59-14:00"}', "publishTime is outside the years"),
        (
            b'{"messageId":"7","publishTime":"2026-01-31T12:00:00Z","attributes":{"a":"' + b"x" * 128_000 + b'"}}',
            "attributes: more than 128000",
        ),
        (b'{"messageId":"7","publishTime":"yesterday"}', "publishTime"),
        (b'{"messageId":"7","publishTime":"2026-01-31T12:00:00"}', "publishTime has no UTC offset"),
        (b'{"message_id":"7","publish_time":"2026-01-31T12:00:00Z"}', "field `messageId`"),
        (b'{"messageId":"7","data":"***"}', "data"),
        (b'{"messageId":"7","attributes":{"a":1}}', "attributes"),
        (b"[" * 100_000, "expected a Pub/Sub push body"),
    ],
)
def test_what_is_no_envelope_is_named(message: bytes, words: str) -> None:
    """The error says which member is missing or wrong."""
    with pytest.raises(EnvelopeError, match=words):
        wrapped(message)


@pytest.mark.parametrize("body", [b'{"id":"a","timestamp":"2026-01-31T12:00:00Z"}', b"[]", b"{}\n{}", b"\xff"])
def test_an_unwrapped_push_without_metadata_is_told_the_cure(body: bytes) -> None:
    """Pub/Sub leaves the id out unless the subscription writes metadata, and the option is named."""
    with pytest.raises(EnvelopeError, match=r"must also write metadata \(gcloud: --push-no-wrapper-write-metadata\)"):
        open_push({b"content-type": b"application/json"}, body)


def test_an_unwrapped_push_with_a_bad_time_is_named() -> None:
    """The header at fault is in the message."""
    headers = {b"x-goog-pubsub-message-id": b"7"}
    right = "^x-goog-pubsub-publish-time: expected RFC 3339 such as 2026-01-31T12:00:00Z$"
    with pytest.raises(EnvelopeError, match=right):
        open_push(headers | {b"x-goog-pubsub-publish-time": b"soon"}, b"")
    missing = "^message.publishTime is missing: the delivery key is derived from it and the message id$"
    with pytest.raises(EnvelopeError, match=missing):
        open_push(headers, b"")
    for wrong in (b"", b"7" * 129):
        with pytest.raises(EnvelopeError, match=r"^message\.messageId: expected 1 to 128 characters$"):
            open_push({b"x-goog-pubsub-message-id": wrong}, b"")


@pytest.mark.parametrize(
    "text", ["", "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", TRACEPARENT.upper(), TRACEPARENT + "-more"]
)
def test_what_is_no_traceparent_gives_no_trace(text: str) -> None:
    """A publisher's broken trace context is not stored."""
    assert parse_traceparent(text) is None


def test_as_many_quotes_as_attributes_can_hold_are_taken_and_one_more_is_not() -> None:
    """Far more than any message has."""
    head, tail = b'{"message":{"messageId":"1","publishTime":"2026-01-31T12:00:00Z","orderingKey":"', b'"}}'
    quotes = 4 * MAX_ATTRIBUTES_LENGTH - (head + tail).count(b'"')
    assert open_push({}, head + b'\\"' * quotes + tail).ordering_key == '"' * quotes
    with pytest.raises(EnvelopeError, match="more members than any push message"):
        open_push({}, head + b'\\"' * (quotes + 1) + tail)


class SearchedBody(bytes):
    """A body that notes how it is searched."""

    def __init__(self, *_: object) -> None:
        self.searches = list[str]()

    def find(self, *arguments: Any) -> int:
        """Note it."""
        self.searches.append("find")
        return super().find(*arguments)

    def count(self, *arguments: Any) -> int:
        """Note it."""
        self.searches.append("count")
        return super().count(*arguments)


@pytest.mark.parametrize(("length", "searches"), [(4 * MAX_ATTRIBUTES_LENGTH, set()), (1_000_000, {"find"})])
def test_much_data_is_not_counted_byte_by_byte(length: int, searches: set[str]) -> None:
    """Counting took as long as decoding it; a body of at most 512,000 bytes cannot have too much structure anyway."""
    head = b'{"message":{"messageId":"1","publishTime":"2026-01-31T12:00:00Z","data":"'
    body = SearchedBody(head + b"A" * ((length - len(head) - 3) // 4 * 4) + b'"}}')
    body = SearchedBody(body + b" " * (length - len(body)))
    assert open_push({}, body).data
    assert (len(body), set(body.searches)) == (length, searches)
