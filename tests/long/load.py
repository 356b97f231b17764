"""Pub/Sub's role: push every message until it is answered 2xx, many at once, and some of them twice."""

import asyncio
import base64
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import aiohttp
import msgspec

from tests.long.fleet import Fleet
from tests.long.ledger import Answer, RecordAnswer
from tests.long.messages import SUBSCRIPTION, Message
from tests.long.reader import TRANSIENT

_BACKOFF_S, _MAX_BACKOFF_S = 0.05, 2.0


class _Answered(msgspec.Struct):
    """A body of POST /v1/records: `records` when all are stored, `results` when some were rejected."""

    records: tuple[RecordAnswer, ...] = ()
    results: tuple[RecordAnswer, ...] = ()


class Driver:
    """Sends the messages of a plan to a fleet; `token` returns one for pushes that is still good."""

    def __init__(self, fleet: Fleet, *, seed: int, token: Callable[[], str], ack_deadline_s: float) -> None:
        self.answers: list[Answer] = []
        self.ack_s: list[float] = []
        """How long each request took that was answered 2xx."""
        self.outcomes: Counter[str] = Counter()
        """How many requests ended how: by status, or by the kind of failure."""
        self.done = 0
        self.begun = set[int]()
        """The numbers of the messages that were sent at least once."""
        self.trouble: list[str] = []
        """Answers that no message of a plan may get."""
        self._fleet, self._token, self._ack_deadline_s = fleet, token, ack_deadline_s
        self._dice = random.Random(f"{seed}/driver")
        self._key = f"chaos-{seed}"

    async def run(
        self,
        messages: Iterable[Message],
        *,
        in_flight: int,
        progress: Callable[[int], None] = lambda _: None,
        rate: float = float("inf"),
        seconds: float = float("inf"),
    ) -> None:
        """Send `messages`, `in_flight` at a time and `rate` a second at most, and begin none after so many seconds.

        `progress` is called after each with the number of those answered.
        """
        waiting = self._paced(messages, rate, time.monotonic() + seconds)
        timeout = aiohttp.ClientTimeout(total=self._ack_deadline_s)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as senders,
        ):
            for _ in range(in_flight):
                senders.create_task(self._send_all(session, waiting, progress))

    async def _send_all(
        self, session: aiohttp.ClientSession, waiting: Iterator[tuple[Message, float]], progress: Callable[[int], None]
    ) -> None:
        for message, due_s in waiting:
            while (early_s := due_s - time.monotonic()) > 0:  # noqa: ASYNC110 - it waits for a time
                await asyncio.sleep(early_s)
            self.begun.add(message.number)
            if message.copies == "at once":
                await asyncio.gather(self._deliver(session, message), self._deliver(session, message))
            else:
                await self._deliver(session, message)
            if message.copies == "later":
                await self._deliver(session, message)
            self.done += 1
            progress(self.done)

    @staticmethod
    def _paced(messages: Iterable[Message], rate: float, stop_at_s: float) -> Iterator[tuple[Message, float]]:
        """Yield each message with when it is due; after a stall, one second is made up for."""
        next_s = time.monotonic()
        for message in messages:
            if (now_s := time.monotonic()) >= stop_at_s:
                return
            yield message, next_s
            next_s = max(next_s + 1 / rate, now_s - 1)

    async def _deliver(self, session: aiohttp.ClientSession, message: Message) -> None:
        """Send `message` again and again until it is durable."""
        path, body, headers = self._request(message)
        failures = 0
        while True:
            began_s = time.monotonic()
            try:
                async with session.post(self._fleet.url(self._dice) + path, data=body, headers=headers) as response:
                    reply, status = await response.read(), response.status
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.outcomes[type(error).__name__] += 1
            else:
                self.outcomes[str(status)] += 1
                if status not in TRANSIENT:
                    self._settle(message, status, reply, time.monotonic() - began_s)
                    return
            failures += 1
            await asyncio.sleep(self._dice.random() * min(_BACKOFF_S * 2**failures, _MAX_BACKOFF_S))

    def _settle(self, message: Message, status: int, reply: bytes, seconds: float) -> None:
        """Note the answer that ends a delivery, and whether it is one that a message may get."""
        durable = {204} if message.way == "push" else {201, 207}
        try:
            answer = _answer(message, status, reply) if status in durable else None
        except msgspec.DecodeError:
            answer = None
        if answer is None:
            self.trouble.append(f"answer: message {message.number} was answered {status}: {reply[:300]!r}")
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
        return "/pubsub/push", body, {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}


def _answer(message: Message, status: int, reply: bytes) -> Answer:
    if message.way == "push":
        return Answer(message.number, status)
    body = msgspec.json.decode(reply, type=_Answered)
    return Answer(message.number, status, body.records or body.results)
