"""Which connection a request goes on, when another is opened, and when one is closed."""

import asyncio
from typing import Any, cast

from app.clock import FakeClock
from app.ingest.connection import Connection
from app.ingest.connections import EXTRA_IDLE_S, IDLE_S, MAX_BYTES, MAX_REQUESTS, Connections
from tests.ingest.scripted import turns


class Line:
    """What a Connection is to its pool; the test answers its requests."""

    def __init__(self) -> None:
        self.retired = self.closed = self.blames_one = False
        self.requests: dict[int, int] = {}
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

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
        number = next(self._numbers)
        self.done[number] = asyncio.Event()
        task = asyncio.create_task(self._request(number, size), name=str(number))
        await turns()
        return task

    async def _request(self, number: int, size: int) -> None:
        async with self.pool.lend(size) as connection:
            line = cast("Any", connection)
            line.requests[number] = size
            try:
                await self.done[number].wait()
            finally:
                del line.requests[number]

    async def answer(self, task: asyncio.Task[None]) -> None:
        """End a request."""
        self.done[int(task.get_name())].set()
        await task
        await turns()

    @property
    def load(self) -> list[int]:
        """Requests in flight, by connection."""
        return [line.requests_in_flight for line in self.lines]


async def test_another_connection_is_opened_when_the_open_ones_have_no_room() -> None:
    """Requests share a connection up to its depth, and wait when as many as may be are full."""
    bench = Pool(max_connections=2)
    tasks = [await bench.request() for _ in range(2 * MAX_REQUESTS + 1)]
    assert bench.load == [MAX_REQUESTS, MAX_REQUESTS]
    await bench.answer(tasks[0])
    assert bench.load == [MAX_REQUESTS, MAX_REQUESTS], "the one that waited took the room"
    for task in tasks[1:]:
        await bench.answer(task)
    assert bench.load == [0, 0]


async def test_bytes_fill_a_connection_as_requests_do() -> None:
    """More than a connection carries in a second only waits on it; a single large request always goes."""
    bench = Pool()
    large = await bench.request(MAX_BYTES + 1)
    small = await bench.request(1)
    assert bench.load == [1, 1]
    await bench.answer(large)
    half = await bench.request(MAX_BYTES // 2)
    other = await bench.request(MAX_BYTES // 2 + 1)
    assert bench.load == [1, 2], "the freed one, then the one that has room beside the small request"
    for task in (small, half, other):
        await bench.answer(task)


async def test_extra_connections_close_soon_and_the_first_before_the_service_does() -> None:
    """The service closes a connection after 600 s of silence; the next request opens a fresh one."""
    bench = Pool()
    for task in [await bench.request() for _ in range(MAX_REQUESTS + 1)]:
        await bench.answer(task)
    await bench.clock.advance(EXTRA_IDLE_S)
    assert [line.closed for line in bench.lines] == [False, True]
    await bench.answer(await bench.request())
    await bench.clock.advance(IDLE_S - 1)
    assert [line.closed for line in bench.lines] == [False, True], "a request begins the silence anew"
    await bench.clock.advance(1)
    assert [line.closed for line in bench.lines] == [True, True]
    assert IDLE_S < 600
    await bench.answer(await bench.request())
    assert len(bench.lines) == 3


async def test_a_retired_connection_takes_nothing_new_and_closes_when_nobody_waits_for_it() -> None:
    """The requests on it keep their chance of an answer."""
    bench = Pool()
    first, second = await bench.request(), await bench.request()
    bench.lines[0].retired = True
    third = await bench.request()
    assert bench.load == [2, 1]
    await bench.answer(first)
    assert [line.closed for line in bench.lines] == [False, False]
    await bench.answer(second)
    assert [line.closed for line in bench.lines] == [True, False]
    await bench.answer(third)
    assert [line.closed for line in bench.lines] == [True, False]


async def test_a_fresh_connection_is_used_after_all_were_retired() -> None:
    """That is how a table that was made again is found."""
    bench = Pool()
    await bench.answer(await bench.request())
    bench.pool.retire()
    await turns()
    assert bench.lines[0].closed
    assert len(bench.pool) == 0
    await bench.answer(await bench.request())
    assert len(bench.lines) == 2


async def test_an_idle_connection_that_the_server_ends_is_forgotten() -> None:
    """Servers drain as a matter of course."""
    bench = Pool()
    await bench.answer(await bench.request())
    bench.lines[0].retired = True
    bench.lines[0].ended.set_result(None)
    await turns()
    assert len(bench.pool) == 0
    assert bench.lines[0].closed


async def test_one_that_gives_up_waiting_neither_takes_room_nor_loses_the_call() -> None:
    """Whether it was called already or not."""
    bench = Pool(max_connections=1)
    running = [await bench.request() for _ in range(MAX_REQUESTS)]
    impatient, patient = await bench.request(), await bench.request()
    impatient.cancel()
    await turns()
    await bench.answer(running[0])
    assert bench.load == [MAX_REQUESTS], "the patient one took the room"
    called, last = await bench.request(), await bench.request()
    bench.done[int(running[1].get_name())].set()
    await running[1]  # `called` is called now, and gives up before it runs
    called.cancel()
    await turns()
    assert bench.load == [MAX_REQUESTS], "the call was passed on"
    for task in (*running[2:], patient, last):
        await bench.answer(task)
    assert bench.load == [0]


async def test_closing_closes_every_connection() -> None:
    """Idle or not."""
    bench = Pool()
    tasks = [await bench.request() for _ in range(MAX_REQUESTS + 1)]
    await bench.pool.close()
    assert all(line.closed for line in bench.lines)
    for task in tasks:
        await bench.answer(task)
    assert len(bench.pool) == 0
