"""Publish the plan as any program would, with google-cloud-pubsub; deliver some messages a second time."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime

import aiohttp
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.types import PublisherOptions

from sluice.local.demo.checks import Row
from sluice.local.demo.plan import Planned
from sluice.local.pubsub.message import MICROSECONDS, Delivery, Message
from sluice.local.pusher import push_body
from sluice.local.stack_settings import Ready, topic_name

PUBLISH_WITHIN_S = 60.0
_JSON = {"Content-Type": "application/json"}


def publish(pubsub: Ready, messages: Sequence[Planned]) -> dict[int, str]:
    """Publish as fast as the client can; return Pub/Sub's id of each message, by its number.

    Raises:
        google.api_core.exceptions.GoogleAPICallError: Pub/Sub refused a message.
    """
    # The client library's own switch, which makes it use no credentials.
    os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.pubsub
    client = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
    try:
        futures = {}
        for each in messages:
            topic = topic_name(stream="" if each.is_shared else each.stream)
            sent = client.publish(topic, each.data, ordering_key=each.ordering_key, **each.attributes)
            futures[each.number] = sent
        return {number: future.result(PUBLISH_WITHIN_S) for number, future in futures.items()}
    finally:
        client.stop()
        client.transport.close()


async def redeliver(
    session: aiohttp.ClientSession,
    pubsub: Ready,
    push_url: str,
    messages: Sequence[Planned],
    rows: Mapping[int, Row],
) -> dict[int, int]:
    """Push these messages once more, as Pub/Sub does after a lost acknowledgement; return the statuses.

    A second delivery has the id and the publish time of the first, taken from the stored rows (`rows`, by message
    number). A message that was not stored cannot be redelivered and is left out.
    """
    async with session.post(f"{pubsub.issuer}/token") as response:
        response.raise_for_status()
        token = (await response.json())["token"]
    headers = _JSON | {"Authorization": f"Bearer {token}"}
    statuses = {}
    for message in messages:
        if message.number in rows:
            body = second_delivery(message, rows[message.number])
            url = push_url if message.is_shared else f"{push_url}/{message.stream}"
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()
                statuses[message.number] = response.status
    return statuses


def second_delivery(message: Planned, row: Row) -> bytes:
    """Return the push of the message of `row`, delivered again."""
    published_us = round(datetime.fromisoformat(row["publish_time"]).timestamp() * MICROSECONDS)
    first = Message(message.data, message.attributes, message.ordering_key, row["message_id"], published_us)
    return push_body(row["subscription_name"], Delivery("", first, 2), with_attempt=True)
