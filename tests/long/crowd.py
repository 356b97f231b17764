"""The crowd: everybody whose traffic is there to be there. Pages, statistics, look-ups, tails."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import aiohttp

from tests.long.fleet import Instance
from tests.long.reader import TRANSIENT

_PAUSE_S = {"page": 0.5, "stats": 2.0, "look up": 1.0, "tail": 1.0, "slow tail": 5.0}
_SAID_WITHIN_S = 60.0
_TIMES = ("PT1M", "PT5M", "PT15M", "PT1H")


class Crowd:
    """Reads from a service in every way until `stop_at_s` (monotone)."""

    def __init__(self, instance: Instance, seed: int, stop_at_s: float) -> None:
        self.answers = Counter[str]()
        self.trouble: list[str] = []
        self._instance, self._stop_at_s = instance, stop_at_s
        self._seed, self._dice = seed, random.Random(f"{seed}/crowd")

    async def run(self) -> None:
        """Ask until the time is over."""
        ways: dict[str, Callable[[aiohttp.ClientSession], Awaitable[None]]] = {
            "page": self._page,
            "stats": self._stats,
            "look up": self._look_up,
            "tail": self._tail,
            "slow tail": self._slow_tail,
        }
        timeout = aiohttp.ClientTimeout(total=_SAID_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(self._go_on(session, name, way) for name, way in ways.items()))

    async def _go_on(
        self, session: aiohttp.ClientSession, name: str, way: Callable[[aiohttp.ClientSession], Awaitable[None]]
    ) -> None:
        while time.monotonic() < self._stop_at_s:
            try:
                await way(session)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self.answers[f"{name}: {type(error).__name__}"] += 1
            await asyncio.sleep(self._dice.uniform(0.5, 1.5) * _PAUSE_S[name])

    async def _get(self, session: aiohttp.ClientSession, name: str, path: str, **query: str) -> None:
        async with session.get(self._instance.url + path, params=query) as response:
            await response.read()
        self._note(name, response.status, path)

    def _note(self, name: str, status: int, path: str) -> None:
        self.answers[f"{name}: {status}"] += 1
        if status >= 400 and status not in TRANSIENT | {404}:
            self.trouble.append(f"answer: {path} was answered {status}")

    async def _page(self, session: aiohttp.ClientSession) -> None:
        """Read a page of some window: of one that is open, or one that is over and so remembered."""
        ended = datetime.now(UTC) - timedelta(seconds=self._dice.randrange(0, 600))
        window = {"since": (ended - timedelta(seconds=30)).isoformat(), "until": ended.isoformat()}
        query = {"since": f"-{self._dice.choice(_TIMES)}"} if self._dice.random() < 0.5 else window
        await self._get(session, "page", "/v1/records", limit=str(self._dice.choice((10, 100, 500))), **query)

    async def _stats(self, session: aiohttp.ClientSession) -> None:
        await self._get(session, "stats", "/v1/records/stats", since=f"-{self._dice.choice(_TIMES)}", bucket="auto")

    async def _look_up(self, session: aiohttp.ClientSession) -> None:
        await self._get(session, "look up", f"/v1/records/{self._seed}-{self._dice.randrange(100)}-0")

    async def _tail(self, session: aiohttp.ClientSession) -> None:
        await self._read_tail(session, "tail", self._dice.uniform(2, 15), 65_536)

    async def _slow_tail(self, session: aiohttp.ClientSession) -> None:
        await self._read_tail(session, "slow tail", 20, 0)

    async def _read_tail(self, session: aiohttp.ClientSession, name: str, seconds: float, size: int) -> None:
        """Open a tail, read it for a while (`size` bytes at a time, or nothing), and hang up."""
        async with session.get(self._instance.url + "/v1/records/tail") as response:
            self._note(name, response.status, "/v1/records/tail")
            until_s = time.monotonic() + min(seconds, max(self._stop_at_s - time.monotonic(), 0))
            while (left_s := until_s - time.monotonic()) > 0:
                reading = asyncio.ensure_future(response.content.read(size) if size else asyncio.Event().wait())
                done, _ = await asyncio.wait([reading], timeout=left_s)
                reading.cancel()
                if not done or not reading.result():
                    return
