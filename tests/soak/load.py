"""Messages at a steady rate, pushed and posted until they are durable: the driver of tests/chaos, with a pace."""

import asyncio
import time
from collections.abc import Callable, Iterator

import aiohttp

from tests.chaos.driver import Driver
from tests.chaos.fleet import Fleet, Instance
from tests.chaos.plan import Message

_IN_FLIGHT = 64


class SteadyDriver(Driver):
    """Sends `rate` messages a second until `stop_at_s` (monotone), then finishes what it has begun."""

    def __init__(self, url: str, *, seed: int, rate: float, stop_at_s: float, token: Callable[[], str]) -> None:
        super().__init__(one(url), seed=seed, token="", ack_deadline_s=60.0)
        self.begun = set[int]()
        """The numbers of the messages that were sent at least once."""
        self._rate, self._stop_at_s, self._fresh = rate, stop_at_s, token
        self._next_s = time.monotonic()

    async def send(self, messages: tuple[Message, ...]) -> None:
        """Send messages from the first on, for as long as there is time."""
        await self.run(messages, in_flight=_IN_FLIGHT, progress=lambda _: None)

    async def _send_all(
        self, session: aiohttp.ClientSession, waiting: Iterator[Message], progress: Callable[[int], None]
    ) -> None:
        while (now_s := time.monotonic()) < self._stop_at_s:
            turn_s, self._next_s = self._next_s, max(self._next_s + 1 / self._rate, now_s - 1)
            if turn_s > now_s:
                await asyncio.sleep(turn_s - now_s)
            message = next(waiting, None)
            if message is None:
                return
            self.begun.add(message.number)
            await super()._send_all(session, iter((message,)), progress)

    def _request(self, message: Message) -> tuple[str, bytes, dict[str, str]]:
        self._token = self._fresh()
        return super()._request(message)


def one(url: str) -> Fleet:
    """Return a fleet of one instance that somebody else has started."""
    instance = Instance(0, {})
    instance.url = url
    return Fleet([instance])
