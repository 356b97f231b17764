"""A `Source` that pulls from a Pub/Sub server over gRPC, so that the one pusher can push for it."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import grpc
import msgspec
from google.pubsub_v1 import types

from sluice.local.pubsub.message import Delivery, Message

_PULL_MESSAGES = 500
_MAX_BUFFERED = 500
_RETRY_S = 0.5
MAX_LEASE_S = 600
_MAX_IDS = 1_000  # a request with more acknowledgements may be refused by the real service

_PullRequest: Any = types.PullRequest.pb()
_AcknowledgeRequest: Any = types.AcknowledgeRequest.pb()
_ModifyAckDeadlineRequest: Any = types.ModifyAckDeadlineRequest.pb()

_log = logging.getLogger(__name__)


class EmulatorSource:
    """Prefetches from one subscription; sends acknowledgements in batches.

    While one batch of acknowledgements is being sent, the next one accumulates, so nothing waits on a timer.
    """

    def __init__(self, channel: grpc.aio.Channel, subscription: str) -> None:
        """Pull from `subscription` (full resource name) over `channel` once `run` is running."""
        self._subscription = subscription
        self._pull = _call(channel, "Pull", types.PullResponse.pb())
        self._acknowledge = _call(channel, "Acknowledge", None)
        self._modify = _call(channel, "ModifyAckDeadline", None)
        self._buffer: deque[Delivery] = deque()
        # Ordering key -> messages that wait behind the one that was handed out.
        self._held: dict[str, deque[Delivery]] = {}
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._acks: list[str] = []
        self._nacks: list[str] = []
        self._extensions: list[str] = []
        self._to_settle = asyncio.Event()

    async def run(self) -> None:
        """Keep the buffer filled and send settlements, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fill())
            tasks.create_task(self._settle())

    async def ready(self) -> None:
        """Wait until `take` would return something."""
        while not self._buffer:
            self._filled.clear()
            await self._filled.wait()

    def take(self, max_messages: int) -> Sequence[Delivery]:
        """Return up to `max_messages` prefetched ones, without waiting."""
        self._taken.set()
        return [self._buffer.popleft() for _ in range(min(max_messages, len(self._buffer)))]

    def ack(self, delivery: Delivery) -> None:
        """Settle a delivery for good; the next message of its ordering key may go."""
        self._acks.append(delivery.ack_id)
        self._to_settle.set()
        key = delivery.message.ordering_key
        if held := self._held.get(key):
            self._offer(held.popleft())
        else:
            self._held.pop(key, None)

    def nack(self, delivery: Delivery) -> None:
        """Give a delivery back; with an ordering key, it is redelivered before those that wait behind it.

        Such a delivery is kept and handed out again from here. If it went back to the server while others of its key
        are in flight, the order of arrival would be undefined.
        """
        key = delivery.message.ordering_key
        if key:
            waiting = self._held.get(key, ())
            self._extensions += [delivery.ack_id, *(behind.ack_id for behind in waiting)]
            self._offer(msgspec.structs.replace(delivery, attempt=delivery.attempt + 1))
        else:
            self._nacks.append(delivery.ack_id)
        self._to_settle.set()

    def backlog(self) -> None:
        """Return None: the emulator does not tell."""

    def moved(self, endpoint: str) -> None:
        """Do nothing: for the emulator this is a pull subscription."""

    def dead_lettered(self) -> None:
        """Return None: the emulator does not tell."""

    async def _fill(self) -> None:
        request = _PullRequest(subscription=self._subscription, max_messages=_PULL_MESSAGES)
        while True:
            while len(self._buffer) >= _MAX_BUFFERED:
                self._taken.clear()
                await self._taken.wait()
            try:
                response = await self._pull(request)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    _log.warning("pull from %s: %s", self._subscription, error.details())
                    await asyncio.sleep(_RETRY_S)
                continue
            for received in response.received_messages:
                self._arrived(_delivery(received))

    def _arrived(self, delivery: Delivery) -> None:
        """A pull returns several messages of a key at once; they are pushed one at a time."""
        key = delivery.message.ordering_key
        if key in self._held:
            self._held[key].append(delivery)
            return
        if key:
            self._held[key] = deque()
        self._offer(delivery)

    def _offer(self, delivery: Delivery) -> None:
        self._buffer.append(delivery)
        self._filled.set()

    async def _settle(self) -> None:
        while True:
            await self._to_settle.wait()
            self._to_settle.clear()
            while self._acks or self._nacks or self._extensions:
                acks, self._acks = self._acks[:_MAX_IDS], self._acks[_MAX_IDS:]
                nacks, self._nacks = self._nacks[:_MAX_IDS], self._nacks[_MAX_IDS:]
                extensions, self._extensions = self._extensions[:_MAX_IDS], self._extensions[_MAX_IDS:]
                try:
                    if acks:
                        await self._acknowledge(_AcknowledgeRequest(subscription=self._subscription, ack_ids=acks))
                    await self._set_lease(nacks, 0)
                    await self._set_lease(extensions, MAX_LEASE_S)
                except grpc.aio.AioRpcError as error:
                    # Messages that are not settled are redelivered when their leases expire.
                    _log.warning("settling on %s: %s", self._subscription, error.details())

    async def _set_lease(self, ack_ids: list[str], lease_s: int) -> None:
        if ack_ids:
            await self._modify(
                _ModifyAckDeadlineRequest(
                    subscription=self._subscription, ack_ids=ack_ids, ack_deadline_seconds=lease_s
                )
            )


def _call(channel: grpc.aio.Channel, method: str, response_class: Any) -> Any:
    return channel.unary_unary(
        f"/google.pubsub.v1.Subscriber/{method}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=response_class.FromString if response_class else lambda _: None,
    )


def _delivery(received: Any) -> Delivery:
    message = received.message
    return Delivery(
        received.ack_id,
        Message(
            message.data,
            dict(message.attributes),
            message.ordering_key,
            message.message_id,
            message.publish_time.ToMicroseconds(),
        ),
        received.delivery_attempt or 1,
    )
