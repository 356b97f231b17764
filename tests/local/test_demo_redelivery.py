"""The second delivery that the demonstration makes is the same delivery to the service."""

from datetime import UTC, datetime

import msgspec
import pytest

from app.ingest.decode.envelope import open_push
from sluice.local.demo.plan import Planned
from sluice.local.demo.publish import second_delivery
from sluice.local.pubsub.message import MICROSECONDS, Delivery, Message
from sluice.local.pusher import push_body
from tests.encoding import whole_envelope

SUBSCRIPTION = "projects/p/subscriptions/s"
PUBLISHED = datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.mark.parametrize("ordering_key", ["", "UA"])
def test_a_second_delivery_says_what_the_first_said(ordering_key: str) -> None:
    """The service opens the repeated push as the message that the pusher delivered, the second time."""
    planned = Planned(
        number=7, stream="flights", is_shared=False, data=b'{"a":1}', attributes={"run": "r"}, ordering_key=ordering_key
    )
    published_us = round(PUBLISHED.timestamp() * MICROSECONDS)
    message = Message(planned.data, planned.attributes, ordering_key, "1042", published_us)
    body = push_body(SUBSCRIPTION, Delivery("lease", message, 1), with_attempt=True)
    first = open_push({}, body)
    row = msgspec.to_builtins(whole_envelope(first))
    second = open_push({}, second_delivery(planned, row))
    assert second == first
    assert second.delivery_key(0) == first.delivery_key(0)
