"""Push deliveries to an HTTP endpoint as the real service does.

source.ready ──> room in the window? ──> take ──> POST ──> 102 200 201 202 204 = ack
                 (sluice.local.flow)                          └──> anything else, or no response
                                                          within the ack deadline = nack
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import assert_never

import aiohttp
import msgspec
from yarl import URL

from sluice.local.flow import PushFlow
from sluice.local.pubsub.message import Delivery
from sluice.local.push_request import RequestBuilder
from sluice.local.source import LocalSource

ACK_STATUSES = frozenset((102, 200, 201, 202, 204))
_TAKE_AT_ONCE = 64  # enough to fill the window quickly, few enough to notice a nack in between
_LOG_EVERY_S = 5.0

_log = logging.getLogger(__name__)


class Failed(msgspec.Struct, frozen=True):
    """A push without an HTTP response: `reason` is `connection` or `timeout`."""

    reason: str
    detail: str


class Answered(msgspec.Struct, frozen=True):
    """A push with a response; `detail` is the start of an error's body."""

    status: int
    detail: str = ""


class Pusher:
    """Pushes one subscription to one endpoint, until it is cancelled."""

    def __init__(  # noqa: PLR0913 - the parts are independent of each other, and named at the one call
        self,
        *,
        source: LocalSource,
        endpoint: str,
        build: RequestBuilder,
        token: Callable[[], str],
        flow: PushFlow,
        ack_deadline_s: float,
    ) -> None:
        """Push what `source` delivers to `endpoint`, with `token()` as the bearer token.

        Args:
            source: Provides deliveries and settles them.
            endpoint: URL of the service's push route; may be down or changed later.
            build: Builds body and headers (`sluice.local.push_request`).
            token: Returns the current token; called for every push, so it must be quick.
            flow: Window and back-off.
            ack_deadline_s: A push without a response for this long is a nack.
        """
        self._source = source
        self._endpoint = URL(endpoint)
        self._build = build
        self._token = token
        self._flow = flow
        self._ack_deadline_s = ack_deadline_s
        self._in_flight: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._logged: tuple[str, float] = ("", float("-inf"))

    @property
    def endpoint(self) -> str:
        """Where messages are pushed to."""
        return str(self._endpoint)

    def set_endpoint(self, endpoint: str) -> None:
        """Push to another URL from now on, at once; "" pauses."""
        self._endpoint = URL(endpoint)
        self._source.moved(endpoint)
        self._flow.reset_pause()
        self._changed.set()

    def set_ack_deadline(self, ack_deadline_s: float) -> None:
        """Wait this long for the response to a push from now on."""
        self._ack_deadline_s = ack_deadline_s

    async def run(self) -> None:
        """Push until cancelled; pushes in flight then are abandoned, not acknowledged."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Content-Type",),
            headers={"User-Agent": "CloudPubSub-Google", "Accept": "application/json"},
        )
        async with session:
            try:
                await self._dispatch(session)
            finally:
                for task in self._in_flight:
                    task.cancel()
                await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def _dispatch(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_for_room()
            await self._source.ready()
            # Check again: a nack may have started a pause while there was nothing to take.
            room = self._flow.room(len(self._in_flight), time.monotonic()) if self.endpoint else 0
            for delivery in self._source.take(min(room, _TAKE_AT_ONCE)) if room else ():
                task = loop.create_task(self._push(session, delivery, self._flow.epoch))
                self._in_flight.add(task)
                task.add_done_callback(self._finished)
            # Let the pushes just started write their requests before taking more.
            await asyncio.sleep(0)

    async def _wait_for_room(self) -> None:
        while True:
            now_s = time.monotonic()
            if self.endpoint and self._flow.room(len(self._in_flight), now_s):
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(self._flow.pause_s(now_s) or None):
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
                self._source.ack(delivery)
                self._flow.acked(epoch, latency_s, len(self._in_flight))
            case Answered(status, detail):
                self._refused(delivery, epoch, str(status), detail)
            case Failed(reason, detail):
                self._refused(delivery, epoch, reason, detail)
            case _:
                assert_never(outcome)

    def _refused(self, delivery: Delivery, epoch: int, what: str, detail: str) -> None:
        now_s = time.monotonic()
        self._source.nack(delivery)
        self._flow.nacked(epoch, now_s)
        last, logged_s = self._logged
        if what != last or now_s - logged_s > _LOG_EVERY_S:
            self._logged = (what, now_s)
            pause_s = self._flow.pause_s(now_s)
            _log.warning("push to %s: %s %s; pausing %.1f s", self._endpoint, what, detail, pause_s)

    async def _post(self, session: aiohttp.ClientSession, delivery: Delivery) -> Answered | Failed:
        body, headers = self._build(delivery)
        try:
            async with session.post(
                self._endpoint,
                data=body,
                headers={**headers, "Authorization": f"Bearer {self._token()}"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._ack_deadline_s),
            ) as response:
                if response.status == 204:
                    return Answered(204)
                text = await response.read()  # read to the end, so that the connection can be reused
                if response.status in ACK_STATUSES:
                    return Answered(response.status)
                return Answered(response.status, text[:200].decode(errors="replace"))
        except TimeoutError:
            return Failed("timeout", f"no answer within {self._ack_deadline_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed("connection", str(error))
