"""Push deliveries to an HTTP endpoint as the real service does.

room in the window? ──> wait_ready ──> pull ──> POST ──> 102 200 201 202 204 = ack
(sluice.local.flow)                                  └──> anything else, or no response
                                                          within the ack deadline = nack

Endpoint and ack deadline are the subscription's own settings, as they are when a push begins.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from typing import Any, assert_never

import aiohttp
import msgspec

from sluice.local.flow import PushFlow
from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.message import Delivery, format_time

ACK_STATUSES = frozenset((102, 200, 201, 202, 204))
_TAKE_AT_ONCE = 64  # enough to fill the window quickly, few enough to notice a nack in between
_LOG_EVERY_S = 5.0
_LEASE_MARGIN_S = 10.0
"""A push ends at the ack deadline, and its lease a little later, so that the pusher decides the outcome."""
_HEADERS = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google", "Accept": "application/json"}

_log = logging.getLogger(__name__)


def push_body(subscription: str, delivery: Delivery, *, with_attempt: bool) -> bytes:
    """Return the body of a push, exactly as the real service sends it, with both spellings of the id and the time.

    https://cloud.google.com/pubsub/docs/push#receive_push. `with_attempt` (for a dead-letter policy) adds the top-level
    `deliveryAttempt`; data, attributes and orderingKey are left out when empty.
    """
    message = delivery.message
    inner: dict[str, Any] = {}
    if message.attributes:
        inner["attributes"] = message.attributes
    if message.data:
        inner["data"] = base64.b64encode(message.data).decode()
    inner["messageId"] = inner["message_id"] = message.message_id
    if message.ordering_key:
        inner["orderingKey"] = message.ordering_key
    inner["publishTime"] = inner["publish_time"] = format_time(message.publish_time_us)
    envelope: dict[str, Any] = {"message": inner, "subscription": subscription}
    if with_attempt:
        envelope["deliveryAttempt"] = delivery.attempt
    return msgspec.json.encode(envelope)


class Failed(msgspec.Struct, frozen=True):
    """A push without an HTTP response: `reason` is `connection` or `timeout`."""

    reason: str
    detail: str


class Answered(msgspec.Struct, frozen=True):
    """A push with a response; `detail` is the start of an error's body."""

    status: int
    detail: str = ""


class Pusher:
    """Pushes one subscription to its endpoint, until it is cancelled."""

    def __init__(self, broker: Broker, subscription: str, token: Callable[[], str], flow: PushFlow) -> None:
        """Push with `token()` as the bearer token, which is called for every push. Raises PubsubError."""
        self._broker, self._name, self._token, self._flow = broker, subscription, token, flow
        self._subscription = broker.subscription(subscription)
        self._pushed_to = ""
        self._in_flight: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._logged: tuple[str, float] = ("", float("-inf"))

    async def run(self) -> None:
        """Push until cancelled; pushes in flight then are abandoned, not acknowledged."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
        )
        self._subscription.watchers.add(self._changed.set)
        async with session:
            try:
                await self._dispatch(session)
            finally:
                self._subscription.watchers.discard(self._changed.set)
                for task in self._in_flight:
                    task.cancel()
                await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def _dispatch(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_for_room()
            await self._broker.wait_ready(self._name)
            # Check again: a nack may have started a pause while there was nothing to pull.
            room, lease_s = (
                min(self._room(), _TAKE_AT_ONCE),
                self._subscription.settings.ack_deadline_s + _LEASE_MARGIN_S,
            )
            for delivery in self._broker.pull(self._name, room, lease_s):
                task = loop.create_task(self._push(session, delivery, self._flow.epoch))
                self._in_flight.add(task)
                task.add_done_callback(self._finished)
            # Let the pushes just started write their requests before taking more.
            await asyncio.sleep(0)

    def _room(self) -> int:
        endpoint = self._subscription.settings.push_endpoint
        if endpoint != self._pushed_to:
            self._pushed_to = endpoint
            self._flow.reset_pause()
        return self._flow.room(len(self._in_flight), time.monotonic()) if endpoint else 0

    async def _wait_for_room(self) -> None:
        while not self._room():
            self._changed.clear()
            try:
                async with asyncio.timeout(self._flow.pause_s(time.monotonic()) or None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()):
            _log.error("a push failed in the pusher", exc_info=error)

    async def _push(self, session: aiohttp.ClientSession, delivery: Delivery, epoch: int) -> None:
        started_s = time.monotonic()
        outcome = await self._post(session, delivery)
        latency_s = time.monotonic() - started_s
        match outcome:
            case Answered(status) if status in ACK_STATUSES:
                self._broker.acknowledge(self._name, [delivery.ack_id])
                self._flow.acked(epoch, latency_s, len(self._in_flight))
            case Answered(status, detail):
                self._refused(delivery, epoch, str(status), detail)
            case Failed(reason, detail):
                self._refused(delivery, epoch, reason, detail)
            case _:
                assert_never(outcome)

    def _refused(self, delivery: Delivery, epoch: int, what: str, detail: str) -> None:
        now_s = time.monotonic()
        self._broker.nack(self._name, delivery.ack_id)
        self._flow.nacked(epoch, now_s)
        last, logged_s = self._logged
        if what != last or now_s - logged_s > _LOG_EVERY_S:
            self._logged = (what, now_s)
            pause_s = self._flow.pause_s(now_s)
            _log.warning("push to %s: %s %s; pausing %.1f s", self._pushed_to, what, detail, pause_s)

    async def _post(self, session: aiohttp.ClientSession, delivery: Delivery) -> Answered | Failed:
        settings = self._subscription.settings
        try:
            async with session.post(
                settings.push_endpoint,
                data=push_body(self._name, delivery, with_attempt=bool(settings.dead_letter_topic)),
                headers={"Authorization": f"Bearer {self._token()}"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=settings.ack_deadline_s),
            ) as response:
                if response.status == 204:
                    return Answered(204)
                text = await response.read()  # read to the end, so that the connection can be reused
                if response.status in ACK_STATUSES:
                    return Answered(response.status)
                return Answered(response.status, text[:200].decode(errors="replace"))
        except TimeoutError:
            return Failed("timeout", f"no answer within {settings.ack_deadline_s} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed("connection", str(error))
