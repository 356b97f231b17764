"""Publish the plan as any program would, with google-cloud-pubsub; deliver some messages a second time."""

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import datetime

import aiohttp
from google.cloud.pubsub_v1 import PublisherClient
from google.cloud.pubsub_v1.types import PublisherOptions

from sluice.local.demo.checks import Row
from sluice.local.demo.plan import Planned
from sluice.local.pubsub.message import MICROSECONDS, Delivery, Message
from sluice.local.pusher import push_body
from sluice.local.stack_settings import Ready, of_stream

PUBLISH_WITHIN_S = 60.0
_JSON = {"Content-Type": "application/json"}


class Publisher:
    """A publisher of the topics. `on_published` is called, in a thread of the client, for every message accepted."""

    def __init__(self, pubsub: Ready, on_published: Callable[[], None]) -> None:
        # The client library's own switch, which makes it use no credentials.
        os.environ["PUBSUB_EMULATOR_HOST"] = pubsub.pubsub
        self._client = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
        self._pubsub = pubsub
        self._on_published = on_published
        self._futures: dict[int, Future[str]] = {}
        self._lock, self._closed = threading.Lock(), False

    def publish(self, message: Planned) -> None:
        """Pass a message to the client, which sends it in a batch; do nothing once closed."""
        with self._lock:
            if not self._closed:
                future = self._client.publish(
                    self._topic_of(message), message.data, ordering_key=message.ordering_key, **message.attributes
                )
                future.add_done_callback(self._published)
                self._futures[message.number] = future

    def _topic_of(self, message: Planned) -> str:
        shared = self._pubsub.topic
        name = shared if message.is_shared else of_stream(shared, message.stream)
        return str(self._client.topic_path(self._pubsub.project, name))

    async def flood(self, messages: Sequence[Planned]) -> None:
        """Publish as fast as the client can, and wait until all are accepted."""
        await asyncio.to_thread(self._flood, messages)

    async def message_ids(self) -> dict[int, str]:
        """Return Pub/Sub's id of each message, by its number; raise what the client raised."""
        return await asyncio.to_thread(self._results)

    async def close(self) -> None:
        """Send all pending messages and stop the client's threads."""
        with self._lock:  # an interrupted flood is still running in its thread
            self._closed = True
        await asyncio.to_thread(self._finish)
        self._client.transport.close()

    def _finish(self) -> None:
        self._client.stop()
        wait(self._futures.values(), PUBLISH_WITHIN_S)

    def _flood(self, messages: Sequence[Planned]) -> None:
        for message in messages:
            self.publish(message)
        self._results()

    def _results(self) -> dict[int, str]:
        return {number: future.result(PUBLISH_WITHIN_S) for number, future in self._futures.items()}

    def _published(self, future: Future[str]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._on_published()


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
    async with session.post(f"{pubsub.issuer}/token", data=b"{}", headers=_JSON) as response:
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
