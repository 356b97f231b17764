"""A load of pushes over keep-alive connections, that takes so little itself that the service is the limit.

    python -m bench.ingest.load < order.json

Closed: each connection pushes the next message when the last one is answered, so as many are in flight as there are
connections. Open: messages fall due at random moments (Poisson) at a fixed rate, whatever became of the earlier ones,
and the time of each counts from when it was due, not from when a connection was free: nothing is left out because the
service was slow (coordinated omission). Plain sockets and epoll; an order and a result are JSON.
"""

import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable

import msgspec

from bench.ingest.messages import Case, request_template
from bench.usage import cpu_s

_END = b"\r\n\r\n"
_NAP_S = 0.0001  # epoll counts in milliseconds
_BUFFER = 262_144


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to push where, for how long; `rate` (messages a second) makes it open. `pids` are whose time is taken."""

    ports: list[int]
    case: Case
    authorization: str
    seconds: float
    warm_s: float = 0.3
    rate: float | None = None
    pids: list[int] = []
    first: int = 0
    """The number of the first message: no two loads of one service may send the same."""
    paths: tuple[str, ...] = ("/pubsub/push",)
    """Where messages go, in turn."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: `answered` since the begin of the load, the rest in the part that was measured."""

    answered: int
    failed: int
    messages: int
    seconds: float
    cpu_s: float
    load_cores: float
    """How much of a core the load itself used: near 1, it was the limit."""
    times_ms: list[float]
    """Of every message, or of an even sample: p50, p90, p99, p99.9 and the longest."""


class _Connection:
    """A socket, and when its message in flight was sent."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_000_000)
        self.socket.setblocking(False)
        self.begun_s, self.rest, self.got = 0.0, b"", b""


class Load:
    """The connections, and what was measured on them."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._templates = [request_template(order.case, order.authorization, path) for path in order.paths]
        self._number = order.first
        self.answered, self.failures = 0, dict[bytes, int]()
        self.times_s: list[float] = []
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Connection] = {}
        for index in range(order.case.in_flight):
            connection = _Connection(order.ports[index % len(order.ports)])
            self._by_fd[connection.socket.fileno()] = connection
            self._epoll.register(connection.socket, select.EPOLLIN)

    def run(self) -> Loaded:
        """Push as long as the order says, and return what came of it."""
        order, every = self._order, list(self._by_fd.values())
        run_until = self._open if order.rate else self._closed
        begun_s = time.perf_counter()
        run_until(begun_s + order.warm_s, every)
        answered, used_s, own_s = self.answered, sum(map(cpu_s, order.pids)), time.process_time()
        begun_s = time.perf_counter()
        self.times_s.clear()
        run_until(begun_s + order.seconds, [])
        took_s, own_s = time.perf_counter() - begun_s, time.process_time() - own_s
        used_s = sum(map(cpu_s, order.pids)) - used_s
        messages, times_s = self.answered - answered, sorted(self.times_s)
        self._hear_all()
        self.close()
        return Loaded(
            answered=self.answered,
            failed=sum(self.failures.values()),
            messages=messages,
            seconds=took_s,
            cpu_s=used_s,
            load_cores=round(own_s / took_s, 3),
            times_ms=[round(_quantile(times_s, share) * 1_000, 3) for share in (0.5, 0.9, 0.99, 0.999, 1.0)],
        )

    def lap(self, seconds: float) -> int:
        """Push for so long, at least one message a connection, until all are answered; return how many there were."""
        answered = self.answered
        self._closed(time.perf_counter() + seconds, list(self._by_fd.values()))
        self._hear_all()
        return self.answered - answered

    def close(self) -> None:
        """Close the connections."""
        for connection in self._by_fd.values():
            connection.socket.close()

    def _closed(self, until_s: float, idle: list[_Connection]) -> None:
        for connection in idle:
            self._push(connection, time.perf_counter())
        while time.perf_counter() < until_s:
            for fd, event in self._epoll.poll(0.1):
                connection = self._by_fd[fd]
                if self._heard(connection, event):
                    self._push(connection, time.perf_counter())

    def _open(self, until_s: float, idle: list[_Connection]) -> None:
        if idle:
            self._idle, self._due = deque(idle), deque[float]()
            self._next_s, self._random = time.perf_counter(), random.Random(4711)
        rate = self._order.rate or 1.0
        while (now_s := time.perf_counter()) < until_s:
            while self._next_s <= now_s:
                self._due.append(self._next_s)
                self._next_s += self._random.expovariate(rate)
            while self._due and self._idle:
                self._push(self._idle.popleft(), self._due.popleft())
            events = self._epoll.poll(0)
            for fd, event in events:
                connection = self._by_fd[fd]
                if self._heard(connection, event):
                    self._idle.append(connection)
            if not events and self._next_s - time.perf_counter() > _NAP_S:
                time.sleep(_NAP_S)

    def _push(self, connection: _Connection, begun_s: float) -> None:
        number = self._number
        self._number = number + 1
        template, places = self._templates[number % len(self._templates)]
        request = template % ((number,) * places)
        connection.begun_s = begun_s
        sent = connection.socket.send(request)
        if sent < len(request):
            connection.rest = request[sent:]
            self._epoll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def _heard(self, connection: _Connection, event: int) -> bool:
        """Take what came; return whether the message was answered."""
        if event & select.EPOLLOUT:
            connection.rest = connection.rest[connection.socket.send(connection.rest) :]
            if not connection.rest:
                self._epoll.modify(connection.socket, select.EPOLLIN)
        if not event & select.EPOLLIN:
            if event & (select.EPOLLHUP | select.EPOLLERR):
                raise SystemExit("the server closed a connection")
            return False
        got = connection.socket.recv(65_536)
        if not got:
            raise SystemExit("the server closed a connection")
        if connection.got:
            got = connection.got + got
        if not _is_whole(got):
            connection.got = got
            return False
        connection.got = b""
        self.times_s.append(time.perf_counter() - connection.begun_s)
        self.answered += 1
        if got[9:12] != b"204":
            self.failures[got[9:12]] = self.failures.get(got[9:12], 0) + 1
        return True

    def _hear_all(self) -> None:
        """Hear the answers that are still to come, so that each message that was pushed is accounted for."""
        waiting = self._number - self._order.first - self.answered
        give_up_s = time.perf_counter() + 30
        while waiting > 0 and time.perf_counter() < give_up_s:
            for fd, event in self._epoll.poll(0.1):
                waiting -= self._heard(self._by_fd[fd], event)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(_END)
    if not end:
        return False
    if head[9:12] == b"204":
        return True
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0].partition(b":")[2])


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def main(make: Callable[[Order], Load] = Load) -> None:
    """Read an order from the standard input; print what came of it."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdout.write(msgspec.json.encode(make(order).run()).decode() + "\n")


if __name__ == "__main__":
    main()
