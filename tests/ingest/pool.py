"""A pool of connections without a wire: the test answers the requests on them."""

import asyncio
import weakref
from typing import Any, cast

from app.stores.bigquery.connection import Connection
from app.stores.bigquery.connections import Connections
from sluice.testing.clock import FakeClock
from tests.ingest.scripted import turns


class Line:
    """What a Connection is to its pool; the test answers its requests."""

    def __init__(self) -> None:
        self.retired = self.closed = self.ends_for_one = False
        self.requests: dict[int, int] = {}
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.trouble: Exception | None = None
        """What comes of closing it."""
        self.closing: weakref.ref[asyncio.Task[Any]] | None = None
        """The task that closes it, while anybody keeps that."""

    @property
    def requests_in_flight(self) -> int:
        return len(self.requests)

    @property
    def bytes_in_flight(self) -> int:
        return sum(self.requests.values())

    @property
    def is_awaited(self) -> bool:
        return bool(self.requests)

    async def close(self) -> None:
        task = asyncio.current_task()
        self.closing = None if task is None else weakref.ref(task)
        if self.trouble is not None:
            raise self.trouble
        self.closed = True


class Pool:
    """A pool of such lines, and requests that last until the test ends them."""

    def __init__(self, max_connections: int = 3) -> None:
        self.clock = FakeClock()
        self.lines: list[Line] = []
        self.pool = Connections(self._open, self.clock, max_connections)
        self._numbers = iter(range(1_000))
        self.done: dict[int, asyncio.Event] = {}

    def _open(self) -> Connection:
        self.lines.append(Line())
        return cast("Connection", self.lines[-1])

    async def request(self, size: int = 1) -> asyncio.Task[None]:
        """Begin a request; `answer` ends it."""
        task = self.request_soon(size)
        await turns()
        return task

    def request_soon(self, size: int = 1) -> asyncio.Task[None]:
        """Begin a request in the next turn of the loop."""
        number = next(self._numbers)
        self.done[number] = asyncio.Event()
        return asyncio.create_task(self._request(number, size), name=str(number))

    async def _request(self, number: int, size: int) -> None:
        async with self.pool.lend(size) as connection:
            line = cast("Any", connection)
            line.requests[number] = size
            try:
                await self.done[number].wait()
            finally:
                line.requests.pop(number, None)

    async def answer(self, *tasks: asyncio.Task[None]) -> None:
        """End requests, one after the other."""
        for task in tasks:
            self.answer_soon(task)
            await task
            await turns()

    def answer_soon(self, task: asyncio.Task[None]) -> None:
        """End a request in the next turn of the loop."""
        self.done[int(task.get_name())].set()

    def has(self, task: asyncio.Task[None]) -> bool:
        return any(int(task.get_name()) in line.requests for line in self.lines)

    @property
    def load(self) -> list[int]:
        return [line.requests_in_flight for line in self.lines]
