import msgspec

from sluice.local.pubsub.message import Delivery, Message
from sluice.local.pusher import push_body

NAME = "projects/sluice-local/subscriptions/events-push"


def delivery(data: bytes = b"", ordering_key: str = "", **attributes: str) -> Delivery:
    """Return a third delivery of a message like the documentation's."""
    return Delivery("7", Message(data, attributes, ordering_key, "2070443601311540", 1_614_366_835_749_000), 3)


def test_a_wrapped_push_has_the_service_s_shape() -> None:
    """Both spellings of id and time, data in base64, the attempt and subscription beside the message."""
    body = push_body(NAME, delivery(b"Hello", "k1", source="test"), with_attempt=True)
    assert msgspec.json.decode(body) == {
        "message": {
            "attributes": {"source": "test"},
            "data": "SGVsbG8=",
            "messageId": "2070443601311540",
            "message_id": "2070443601311540",
            "orderingKey": "k1",
            "publishTime": "2021-02-26T19:13:55.749Z",
            "publish_time": "2021-02-26T19:13:55.749Z",
        },
        "subscription": NAME,
        "deliveryAttempt": 3,
    }


def test_what_a_message_does_not_have_is_left_out() -> None:
    """No data, attributes or ordering key: no such members; no dead-letter policy: no attempt."""
    body = push_body(NAME, delivery(), with_attempt=False)
    decoded = msgspec.json.decode(body)
    assert set(decoded) == {"message", "subscription"}
    assert set(decoded["message"]) == {"messageId", "message_id", "publishTime", "publish_time"}
