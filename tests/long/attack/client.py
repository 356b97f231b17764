"""Send one attack, from a process of its own, so that it disturbs no measurement.

It goes at a lower priority than whoever measures.
"""

import asyncio
import contextlib
import itertools
import os
import resource
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tests.long.attack.openings import OPENINGS
from tests.long.attack.payloads import PAYLOADS, Request
from tests.long.attack.plan import Hold, Repeat

_PREPARED = 6
"""How many messages of a payload are made before the attack; a longer one makes the rest as it goes."""
_NICE = 10
_CONNECT_AT_ONCE = 100
_ANSWER_WITHIN_S = 60.0
_HEAD_BYTES = 65_536
_ESTABLISHED = "01"  # in /proc/net/tcp


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and where to; `tokens` has the bearer token of each caller by its name."""

    url: str
    moves: tuple[Hold | Repeat, ...]
    seconds: float
    tokens: Mapping[str, str]


class Sent(msgspec.Struct, kw_only=True):
    """What came of it: answers by status or kind of failure, messages that were answered 2xx, connections by fate."""

    answers: dict[str, int] = msgspec.field(default_factory=Counter)
    acknowledged: list[str] = []
    connections: dict[str, int] = msgspec.field(default_factory=Counter)


class Attacker:
    """Makes the moves of a job, until its time is over."""

    def __init__(self, job: Job) -> None:
        self._job, self.sent = job, Sent()
        parts = urlsplit(job.url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._prepared = {
            move.payload: [PAYLOADS[move.payload](n) for n in range(min(move.times or _PREPARED, _PREPARED))]
            for move in job.moves
            if isinstance(move, Repeat)
        }
        self._stop_at_s = 0.0

    async def run(self) -> None:
        """Make the moves, one beginning after the other."""
        self._stop_at_s = time.monotonic() + self._job.seconds
        held: list[socket.socket] = []
        tasks: list[asyncio.Task[None]] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._job.seconds):
                for move in self._job.moves:
                    if isinstance(move, Hold):
                        await self._open(move, held)
                    else:
                        numbers = iter(range(move.times)) if move.times is not None else itertools.count()
                        senders = (self._repeat(move, numbers) for _ in range(move.connections))
                        tasks += [asyncio.create_task(sender) for sender in senders]
                await asyncio.Event().wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        served = _served_ports(self._address[1])
        for each in held:
            self.sent.connections[_fate(each, served)] += 1
            each.close()

    async def _open(self, move: Hold, held: list[socket.socket]) -> None:
        """Open the connections of a Hold and say what is to be said; those that hang do so until the end."""
        places = asyncio.Semaphore(_CONNECT_AT_ONCE)
        drips: list[socket.socket] = []

        async def one(number: int) -> None:
            async with places:
                try:
                    each = await self._connect(move.receive_bytes, held)
                    await asyncio.get_running_loop().sock_sendall(each, self._opening(move, number))
                except (OSError, asyncio.CancelledError) as error:
                    self.sent.answers[f"not opened: {type(error).__name__}"] += 1
                    return
                drips.append(each)

        opening = asyncio.gather(*(one(number) for number in range(move.connections)))
        if not move.drip:
            # The next move does not wait for openings that the service is slow to take.
            await asyncio.wait([opening], timeout=self._job.seconds / 3)
            return
        while not opening.done() or time.monotonic() < self._stop_at_s:
            await asyncio.sleep(1)
            for each in drips:
                with contextlib.suppress(OSError):
                    each.send(b"x")

    def _opening(self, move: Hold, number: int) -> bytes:
        return OPENINGS[move.opening](number, self._job.tokens)

    async def _connect(self, receive_bytes: int, held: list[socket.socket]) -> socket.socket:
        each = socket.socket()
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        each.setblocking(False)
        held.append(each)
        await asyncio.get_running_loop().sock_connect(each, self._address)
        return each

    async def _repeat(self, move: Repeat, numbers: Iterator[int]) -> None:
        """Send messages until the time is over; one that is not stored is delivered again, as Pub/Sub would."""
        for number in numbers:
            if time.monotonic() >= self._stop_at_s:
                return
            prepared = self._prepared[move.payload]
            request = prepared[number] if number < len(prepared) else PAYLOADS[move.payload](number)
            status = 0
            while time.monotonic() < self._stop_at_s and status not in {200, 201, 204, 207}:
                try:
                    async with asyncio.timeout(_ANSWER_WITHIN_S):
                        status = await self._ask(request)
                    self.sent.answers[str(status)] += 1
                except (OSError, TimeoutError, ValueError, EOFError) as error:
                    self.sent.answers[type(error).__name__] += 1
                await asyncio.sleep(move.pause_s)
                if status in {400, 401, 403, 413, 422}:
                    break
            if status == 204:
                self.sent.acknowledged.append(f"attack-{number}")

    async def _ask(self, request: Request) -> int:
        """Send a request on a connection of its own; return the status."""
        reader, writer = await asyncio.open_connection(*self._address, limit=_HEAD_BYTES)
        try:
            headers = {"Host": "127.0.0.1", "Content-Length": str(len(request.body)), **request.headers}
            if request.caller:
                headers["Authorization"] = f"Bearer {self._job.tokens[request.caller]}"
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"{request.method} {request.path} HTTP/1.1\r\n{lines}\r\n".encode() + request.body)
            return int((await reader.readline()).split()[1])
        except IndexError:
            raise EOFError from None
        finally:
            writer.close()


def _served_ports(port: int) -> frozenset[int] | None:
    """Return the ports of the clients that the service at `port` is still connected with; None where nobody knows.

    A client that reads nothing does not notice that the other side has given the connection up.
    """
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return None
    rows = [line.split() for line in lines]
    return frozenset(
        int(remote.rpartition(":")[2], 16)
        for _, local, remote, state, *_ in rows
        if int(local.rpartition(":")[2], 16) == port and state == _ESTABLISHED
    )


def _fate(each: socket.socket, served: frozenset[int] | None) -> str:
    """Say what became of a connection, as its client or the system sees it."""
    if served is not None and each.getsockname()[1] not in served:
        return "ended by the other side"
    try:
        return "open" if each.recv(1, socket.MSG_PEEK) else "closed by the service"
    except BlockingIOError:
        return "open"
    except OSError as error:
        return f"closed: {type(error).__name__}"


_prepared: list[Attacker] = []


def prepare(job: Job) -> None:
    """Make ready what a job sends, in this process, with as many sockets as it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _prepared.append(Attacker(job))
    os.nice(_NICE)


def attack() -> Sent:
    """Do the job that was prepared; return what came of it."""
    attacker = _prepared.pop()
    asyncio.run(attacker.run())
    return attacker.sent
