"""Pub/Sub's role: push every message until it is answered 2xx, many at once, and some of them twice."""

import asyncio
import base64
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator

import aiohttp
import msgspec

from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Answer, Told
from tests.chaos.plan import SUBSCRIPTION, Message

_BACKOFF_S, _MAX_BACKOFF_S = 0.05, 2.0
_TRANSIENT = {429, 500, 502, 503}


class _Answered(msgspec.Struct):
    """A body of POST /v1/records: `records` when all are stored, `results` when some were rejected."""

    records: tuple[Told, ...] = ()
    results: tuple[Told, ...] = ()


class Driver:
    """Sends the messages of a plan to a fleet."""

    def __init__(self, fleet: Fleet, *, seed: int, token: str, ack_deadline_s: float) -> None:
        self.answers: list[Answer] = []
        self.ack_s: list[float] = []
        """How long each request took that was answered 2xx."""
        self.outcomes: Counter[str] = Counter()
        """How many requests ended how: by status, or by the kind of failure."""
        self.done = 0
        self.trouble: list[str] = []
        """Answers that no message of a plan may get."""
        self._fleet, self._token, self._ack_deadline_s = fleet, token, ack_deadline_s
        self._dice = random.Random(f"{seed}/driver")
        self._key = f"chaos-{seed}"

    async def run(self, messages: tuple[Message, ...], *, in_flight: int, progress: Callable[[int], None]) -> None:
        """Send all of `messages`, `in_flight` at a time; `progress` is told after each how many are answered."""
        waiting = iter(messages)
        timeout = aiohttp.ClientTimeout(total=self._ack_deadline_s)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as senders,
        ):
            for _ in range(in_flight):
                senders.create_task(self._send_all(session, waiting, progress))

    async def _send_all(
        self, session: aiohttp.ClientSession, waiting: Iterator[Message], progress: Callable[[int], None]
    ) -> None:
        for message in waiting:
            if message.copies == "at once":
                await asyncio.gather(self._deliver(session, message), self._deliver(session, message))
            else:
                await self._deliver(session, message)
            if message.copies == "later":
                await self._deliver(session, message)
            self.done += 1
            progress(self.done)

    async def _deliver(self, session: aiohttp.ClientSession, message: Message) -> None:
        """Send `message` again and again until it is durable."""
        path, body, headers = self._request(message)
        failures = 0
        while True:
            began_s = time.monotonic()
            try:
                async with session.post(self._fleet.url(self._dice) + path, data=body, headers=headers) as response:
                    said, status = await response.read(), response.status
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.outcomes[type(error).__name__] += 1
            else:
                self.outcomes[str(status)] += 1
                if status not in _TRANSIENT:
                    self._settle(message, status, said, time.monotonic() - began_s)
                    return
            failures += 1
            await asyncio.sleep(self._dice.random() * min(_BACKOFF_S * 2**failures, _MAX_BACKOFF_S))

    def _settle(self, message: Message, status: int, said: bytes, seconds: float) -> None:
        """Note the answer that ends a delivery, and whether it is one that a message may get."""
        durable = {204} if message.way == "push" else {201, 207}
        try:
            answer = _answer(message, status, said) if status in durable else None
        except msgspec.DecodeError:
            answer = None
        if answer is None:
            self.trouble.append(f"answer: message {message.number} was answered {status}: {said[:300]!r}")
            return
        self.ack_s.append(seconds)
        self.answers.append(answer)

    def _request(self, message: Message) -> tuple[str, bytes, dict[str, str]]:
        if message.way == "post":
            headers = {"Idempotency-Key": f"{self._key}-{message.number}"}
            headers["Content-Type"] = message.attributes.get("content-type", "application/json")
            if "content-encoding" in message.attributes:
                headers["Content-Encoding"] = message.attributes["content-encoding"]
            return "/v1/records", message.data, headers
        inner = {
            "data": base64.b64encode(message.data).decode(),
            "attributes": message.attributes,
            "messageId": message.message_id,
            "publishTime": message.publish_time,
        }
        body = msgspec.json.encode({"message": inner, "subscription": SUBSCRIPTION})
        return "/pubsub/push", body, {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}


def _answer(message: Message, status: int, said: bytes) -> Answer:
    if message.way == "push":
        return Answer(message.number, status)
    body = msgspec.json.decode(said, type=_Answered)
    return Answer(message.number, status, body.records or body.results)
