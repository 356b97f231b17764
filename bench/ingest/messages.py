"""The pushes of a load: what one message looks like on the wire, with a place for its number."""

import base64
import json
from typing import Any

import msgspec

_DIGITS = 12
_PLACE = b"%012d"
_PUBLISHED = "2026-01-31T12:00:00.123Z"
_SUBSCRIPTION = "projects/p/subscriptions/s"


class Case(msgspec.Struct, frozen=True):
    """What is pushed, how many at once (`in_flight`), and how long the store takes to acknowledge (milliseconds).

    `record_bytes` is the length of one record's JSON; `records` is how many one message carries, as an array where it
    is more than one.
    """

    record_bytes: int = 1_000
    wrapped: bool = True
    records: int = 1
    in_flight: int = 512
    ack_ms: float = 20.0

    @property
    def name(self) -> str:
        """What tables call it: that which is not as in the first case."""
        plain, parts = Case(), []
        if self.records != plain.records:
            parts.append(f"{self.records} records a message")
        if self.record_bytes != plain.record_bytes:
            parts.append(f"{self.record_bytes:,} B")
        if not self.wrapped:
            parts.append("unwrapped")
        if self.in_flight != plain.in_flight:
            parts.append(f"{self.in_flight:,} in flight")
        if self.ack_ms != plain.ack_ms:
            parts.append(f"store in {self.ack_ms:g} ms")
        return ", ".join(parts) or "1 KB, wrapped, 512 in flight, store in 20 ms"


def record(size: int) -> dict[str, Any]:
    """Return a record whose JSON has `size` bytes: a few fields as events have them, and a text that fills up."""
    data: dict[str, Any] = {"kind": "page_view", "user": 4711, "total": 12.5, "tags": ["a", "b"], "text": ""}
    made = {"id": "r-4711", "timestamp": "2026-01-31T12:00:00.123Z", "source": "web", "data": data}
    data["text"] = "x" * (size - len(_json(made)))
    return made


def payload(case: Case) -> bytes:
    """Return the data of a message."""
    one = _json(record(case.record_bytes))
    return one if case.records == 1 else b"[" + b",".join([one] * case.records) + b"]"


def request_template(case: Case, authorization: str, path: str = "/pubsub/push") -> tuple[bytes, int]:
    """Return a push with places (`%012d`) for the message's number, and how many there are.

    Every push is another message to the service, which would know copies; the ids are as long as Pub/Sub's.
    """
    data = payload(case)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nUser-Agent: APIs-Google\r\n"
    if case.wrapped:
        number = "@" * _DIGITS  # base64 and JSON have none
        message = {
            "data": base64.b64encode(data).decode(),
            "messageId": number,
            "message_id": number,
            "publishTime": _PUBLISHED,
            "publish_time": _PUBLISHED,
        }
        body = _json({"message": message, "subscription": _SUBSCRIPTION}).replace(number.encode(), _PLACE)
        length = len(body) + 2 * (_DIGITS - len(_PLACE))
        head += f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        return head.encode() + body, 2
    head += (
        f"Content-Type: application/octet-stream\r\nx-goog-pubsub-subscription-name: {_SUBSCRIPTION}\r\n"
        f"x-goog-pubsub-publish-time: {_PUBLISHED}\r\nContent-Length: {len(data)}\r\nx-goog-pubsub-message-id: "
    )
    return head.encode() + _PLACE + b"\r\n\r\n" + data.replace(b"%", b"%%"), 1


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
