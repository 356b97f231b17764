"""The two ways to ingest: a POST to the service, or a message published to its topic."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from sluice.local.pubsub.message import Draft
from sluice.ops.smoke.check import Sender, Sent
from sluice.ops.smoke.client import Client, SmokeError, refusal

_PAUSE_S = 1.0


def posting(client: Client, mark: str, *, has_token: bool, api: str = "/v1") -> Sender:
    """Return a sender that posts a record to the stream at the path `api`.

    It always uses the same key, so that a retry stores nothing twice.
    """

    def send(record: dict[str, Any], deadline: float) -> Sent:
        attempt = 1
        while True:
            answer = client.post(f"{api}/records", record, {"Idempotency-Key": mark})
            if answer.status not in {429, 503} or time.monotonic() + _PAUSE_S >= deadline:
                break
            time.sleep(_PAUSE_S)
            attempt += 1
        if answer.status != 201:
            tries = f" ({attempt} tries)" if attempt > 1 else ""
            raise refusal(f"POST {api}/records{tries}", answer, has_token=has_token)
        (stored,) = answer.json()["records"]
        return Sent(f"POST {api}/records: 201, durable", "delivery_key", stored["delivery_key"])

    return send


def publishing(publish: Callable[[bytes, dict[str, str]], str], attributes: dict[str, str]) -> Sender:
    """Return a sender that publishes a record once, with the `attributes` of a canary.

    `publish(data, attributes)` returns Pub/Sub's id of the message.
    """

    def send(record: dict[str, Any], deadline: float) -> Sent:  # noqa: ARG001 - published once, in its own time
        message_id = publish(msgspec.json.encode(record), attributes)
        return Sent(f"published as message {message_id}", "message_id", message_id)

    return send


def google_publisher(topic: str, pubsub_host: str) -> Callable[[bytes, dict[str, str]], str]:
    """Return a function that publishes to a topic, with google-cloud-pubsub.

    Raises:
        SmokeError: `topic` is not the full name of a topic.
    """
    # Imported here: the client takes a second to load, and a check over HTTP does not need it.
    from sluice.local import clients  # noqa: PLC0415

    parts = topic.split("/")
    if len(parts) != 4 or (parts[0], parts[2]) != ("projects", "topics"):
        raise SmokeError(f"--topic {topic!r}: expected projects/PROJECT/topics/TOPIC")

    def publish(data: bytes, attributes: dict[str, str]) -> str:
        try:
            with clients.publisher(pubsub_host) as publisher:
                return clients.publish(publisher, topic, [Draft(data, attributes)])[0]
        except clients.CALL_ERRORS as error:
            raise SmokeError(f"cannot publish to {topic} at {pubsub_host}: {error}") from error

    return publish
