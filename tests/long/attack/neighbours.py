"""The neighbours of an attacker: a liveness probe, a producer, a reader and a follower, each at a small steady rate.

Each begins its requests by the clock, whether earlier ones were answered or not, so a stall is felt by every request
that falls into it. Each request has a connection of its own, as one that is new knows no privilege.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import aiohttp
import msgspec

from tests.long.attack.payloads import Request, small
from tests.long.attack.verdict import MAX_SLOWER_S, NEVER_S, Phase, Sample, felt, recovery_s

LIVENESS_EVERY_S, PUSH_EVERY_S, READ_EVERY_S = 0.1, 0.1, 1.0
_FOLLOW_EVERY_S = 0.5
_MIN_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 1.0
_LARGE_PAGE = "/v1/records?since=-PT6H&limit=20"
_CAUGHT_UP_WITHIN_S = 20.0


class Neighbours:
    """Asks the service at `url`; `tokens` has the bearer token of each caller by its name."""

    def __init__(self, url: str, tokens: Mapping[str, str]) -> None:
        self.liveness: list[Sample] = []
        self.pushes: list[Sample] = []
        self.reads: list[Sample] = []
        self.acknowledged: set[str] = set()
        self.seen: Counter[str] = Counter()
        """How often the follower was shown each record of the producer."""
        self._url, self._tokens, self._stem = url, tokens, "neighbour"
        self._dice = random.Random(self._stem)
        self._timers: list[asyncio.Task[None]] = []
        self._open: dict[asyncio.Task[None], tuple[list[Sample], float]] = {}
        self._stopping = False
        self._cursor = ""

    async def start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=NEVER_S)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=timeout
        )
        self._timers = [
            asyncio.create_task(work)
            for work in (
                self._every(LIVENESS_EVERY_S, self.liveness, self._probe),
                self._every(PUSH_EVERY_S, self.pushes, self._push),
                self._every(READ_EVERY_S, self.reads, self._read),
                self._follow(),
            )
        ]

    async def watch(self, seconds: float) -> None:
        await asyncio.wait(self._timers, timeout=seconds)

    async def stop(self) -> None:
        """Begin nothing more, let the follower catch up, and count what is still open as never served."""
        self._stopping = True
        pushes = [task for task, (samples, _) in self._open.items() if samples is self.pushes]
        if pushes:
            await asyncio.wait(pushes, timeout=_CAUGHT_UP_WITHIN_S)
        until_s = time.monotonic() + _CAUGHT_UP_WITHIN_S
        while self.acknowledged - self.seen.keys() and time.monotonic() < until_s:  # noqa: ASYNC110 - a poll with an end
            await asyncio.sleep(_FOLLOW_EVERY_S)
        for task, (samples, began_s) in list(self._open.items()):
            if not task.done():
                samples.append(Sample(began_s, time.monotonic() - began_s, served=False))
                task.cancel()
        for timer in self._timers:
            timer.cancel()
        await asyncio.gather(*self._timers, *self._open, return_exceptions=True)
        await self._session.close()

    def phase(self, begun_s: float, ended_s: float) -> Phase:
        """Return what was felt by requests that began in a stretch of time, those still open included."""
        return Phase(*(felt(self._within(samples, begun_s, ended_s)) for samples in self.all_samples()))

    def all_samples(self) -> tuple[list[Sample], list[Sample], list[Sample]]:
        """Return the samples of the probe, the producer and the reader."""
        return self.liveness, self.pushes, self.reads

    def usual_s(self, begun_s: float, ended_s: float) -> float:
        """Return how long the producer and the reader take (p99) in a stretch of time without an attack."""
        phase = self.phase(begun_s, ended_s)
        return max(phase.producer.p99_s, phase.reader.p99_s)

    def recovery_s(self, ended_s: float, usual_s: float) -> float:
        """Return how long after `ended_s` the last request was over that took too long, so far."""
        return recovery_s(ended_s, self.liveness, [*self.pushes, *self.reads], usual_s)

    def is_waiting(self, usual_s: float) -> bool:
        """Say whether a request is open that takes too long already."""
        return any(began_s + usual_s + MAX_SLOWER_S < time.monotonic() for _, began_s in self._open.values())

    async def send(self, requests: Iterable[Request]) -> None:
        """Have these messages stored, one after the other, before anything is measured."""
        for request in requests:
            await self._persist(request, 204, lambda: None)

    @staticmethod
    def _within(samples: list[Sample], begun_s: float, ended_s: float) -> list[Sample]:
        return [sample for sample in samples if begun_s <= sample.began_s < ended_s]

    async def _every(self, every_s: float, samples: list[Sample], ask: Callable[[int], Awaitable[bool]]) -> None:
        number, next_s = 0, time.monotonic()
        while not self._stopping:
            task = asyncio.create_task(self._timed(samples, ask, number))
            self._open[task] = (samples, time.monotonic())
            task.add_done_callback(lambda done: self._open.pop(done, None))
            number, next_s = number + 1, next_s + every_s
            await asyncio.sleep(max(next_s - time.monotonic(), 0))

    async def _timed(self, samples: list[Sample], ask: Callable[[int], Awaitable[bool]], number: int) -> None:
        began_s = time.monotonic()
        served = await ask(number)
        samples.append(Sample(began_s, time.monotonic() - began_s, served=served))

    async def _probe(self, _: int) -> bool:
        status, _body = await self._ask(Request(method="GET", path="/health/live"))
        return status == 200

    async def _push(self, number: int) -> bool:
        """Push a message until it is acknowledged, as Pub/Sub does."""
        request = small(number, self._stem)
        return await self._persist(request, 204, lambda: self.acknowledged.add(f"{self._stem}-{number}"))

    async def _read(self, _: int) -> bool:
        request = Request(method="GET", path=_LARGE_PAGE, caller="reader")
        return await self._persist(request, 200, lambda: None)

    async def _persist(self, request: Request, wanted: int, then: Callable[[], None]) -> bool:
        until_s, failures = time.monotonic() + NEVER_S, 0
        while time.monotonic() < until_s:
            status, _ = await self._ask(request)
            if status == wanted:
                then()
                return True
            failures += 1
            await asyncio.sleep(self._dice.uniform(0.5, 1) * min(_MIN_BACKOFF_S * 2**failures, _MAX_BACKOFF_S))
        return False

    async def _ask(self, request: Request) -> tuple[int, bytes]:
        """Return the status and the body of an answer; a status of 0 for none."""
        headers = dict(request.headers)
        if token := self._tokens.get(request.caller):
            headers["Authorization"] = f"Bearer {token}"
        url = self._url + request.path
        try:
            async with self._session.request(request.method, url, data=request.body, headers=headers) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, b""

    async def _follow(self) -> None:
        """Follow the feed by its cursors, from an hour ago on."""
        while True:
            asked = f"cursor={self._cursor}" if self._cursor else "since=-PT1H"
            request = Request(method="GET", path=f"/v1/records?{asked}&limit=1000&fields=id", caller="follower")
            status, body = await self._ask(request)
            more = False
            if status == 200:
                page: dict[str, Any] = msgspec.json.decode(body)
                self.seen.update(r["id"] for r in page["records"] if r["id"].startswith(f"{self._stem}-"))
                more = page["next_cursor"] is not None
                self._cursor = page["next_cursor"] or page["resume_cursor"]
            if not more:
                await asyncio.sleep(_FOLLOW_EVERY_S)
