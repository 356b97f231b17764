"""Keep room for new connections: close those that occupy a place without using it.

The server stops accepting at `max_connections`. It waits up to half a minute for a request, and forever for a client
that reads nothing. Without this watch, a thousand silent sockets were enough to deny service completely. The server
does not expose its connections, but Linux does: each is an open file of this process, and TCP_INFO reports its traffic
(https://man7.org/linux/man-pages/man7/tcp.7.html).
"""

import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Collection, Iterator, MutableMapping
from contextlib import contextmanager, suppress

from app.http.load_shedding import Connection, Peer, Shedder
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.threads import run_in_daemon_thread

_LOOK_EVERY_S, _LOOK_AT_ALL_EVERY_S = 0.25, 5.0
_SHARE = 20  # checks may use one part in this many of the time
_TELL_EVERY_S = 60.0
_log = logging.getLogger("sluice.connections")
_FILES = "/proc/self/fd"
_INFO_BYTES = 160
# Offsets in struct tcp_info (linux/tcp.h): unacknowledged segments, milliseconds since data arrived, bytes acknowledged
# and received, bytes not sent yet, and data segments sent.
_UNACKED, _LAST_DATA_MS, _ACKED, _RECEIVED, _NOT_SENT, _SEGMENTS_OUT = 24, 52, 120, 128, 144, 156
# Constants of linux/tcp.h: Python defines them only if it was built on Linux.
_TCP_INFO, _TCP_NOTSENT_LOWAT = 11, 25
_NOT_SENT_LOW_WATER_BYTES = 131_072
_NO_WAIT = struct.pack("ii", 1, 0)


class ConnectionWatch:
    """Watches the connections of `port`; `clients` are those with a request in progress."""

    def __init__(  # noqa: PLR0913 - all it depends on
        self,
        port: int,
        clients: Collection[Peer],
        clock: Clock,
        closed_connections: MutableMapping[str, int],
        *,
        max_connections: int,
        stall_s: float,
    ) -> None:
        self._port, self._clients, self._clock, self._closed_connections = port, clients, clock, closed_connections
        self._max_connections = max_connections
        self._shedder = Shedder(max_connections=max_connections, stall_s=stall_s)
        self._condemned: set[Peer] = set()
        self._closed = 0
        self._took_s = 0.0
        self._told_us: int | None = None

    def cut(self, peer: Peer) -> None:
        """Close the connection of `peer` at the next check."""
        self._condemned.add(peer)

    async def run(self) -> None:
        """Check the connections periodically, until cancelled."""
        if sys.platform != "linux":
            return
        _limit_unsent(self._port)
        seen_us = self._clock.elapsed_us()
        pause_s = _LOOK_EVERY_S
        while True:
            await self._clock.sleep(pause_s)
            pause_s, begun_us = _LOOK_EVERY_S, self._clock.elapsed_us()
            is_short = self._shedder.is_short(len(_files()))
            if is_short or self._condemned or begun_us - seen_us >= _LOOK_AT_ALL_EVERY_S * MICROSECONDS:
                seen_us = begun_us
                try:
                    await self.look()
                except Exception:  # the next check may succeed; without checks the service could be locked out
                    _log.exception("unexpected failure while checking the connections")
                if is_short:
                    pause_s = max(_LOOK_EVERY_S, _SHARE * self._took_s)

    async def look(self) -> None:
        """Check every connection, and close those that should be closed."""
        connections, self._took_s = await run_in_daemon_thread(self._list, "connections")
        # All requests read before the check have reached the loop by now, so `clients` is up to date with it.
        condemned, self._condemned = self._condemned, set()
        for each in connections:
            if each.peer in condemned and _close(each):
                self._closed_connections["unread"] += 1
        for each, reason in self._shedder.to_close(connections, self._clients, self._clock.elapsed_us()):
            if each.peer not in condemned and _close(each):
                self._closed_connections[reason] += 1
                self._closed += reason == "idle"
        self._tell(connections)

    def _list(self) -> tuple[list[Connection], float]:
        """Return the connections, and the CPU time of the check: wall time would grow on a busy machine."""
        begun_s = time.thread_time()
        return _connections(self._port), time.thread_time() - begun_s

    def _tell(self, connections: list[Connection]) -> None:
        now_us = self._clock.elapsed_us()
        if not self._closed or (self._told_us is not None and now_us - self._told_us < _TELL_EVERY_S * MICROSECONDS):
            return
        message = (
            "closed %d idle connections to make room: %d of at most %d were open (SLUICE_MAX_CONNECTIONS, ulimit -n)"
        )
        _log.warning(message, self._closed, len(connections), self._max_connections)
        self._closed, self._told_us = 0, now_us


def _connections(port: int) -> list[Connection]:
    """Return the connections that were accepted on `port`. Blocks for a few microseconds for each open file."""
    connections = []
    for file in _files():
        with suppress(OSError), _borrowed(file) as handle:
            if _is_at(handle, port):
                connections.append(
                    _connection(file, _peer(handle), handle.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES))
                )
    return connections


def _close(connection: Connection) -> bool:
    """Close a connection in both directions, without waiting for its client; return False if it has gone.

    The server notices at once and closes its file. In theory the descriptor could have been reused since the check: a
    new connection would then be closed in its first microseconds.
    """
    with suppress(OSError), _borrowed(connection.file) as handle:
        if _peer(handle) == connection.peer:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_WAIT)
            handle.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _limit_unsent(port: int) -> None:
    """Limit the unsent bytes that the kernel buffers for each connection that is accepted from now on.

    The client's window bounds the bytes in flight; beyond it, Linux would buffer megabytes for one connection.
    """
    for file in _files():
        with suppress(OSError), _borrowed(file) as handle:
            if _is_at(handle, port) and handle.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                handle.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOT_SENT_LOW_WATER_BYTES)


def _files() -> list[int]:
    return [int(name) for name in os.listdir(_FILES)]  # noqa: PTH208 - making paths would cost more than the listing


def _is_at(handle: socket.socket, port: int) -> bool:
    address = handle.getsockname()
    return isinstance(address, tuple) and address[1] == port  # else another family: a Unix socket has a path


def _peer(handle: socket.socket) -> Peer:
    host, port = handle.getpeername()[:2]  # a listener has none, and raises
    return host.partition("%")[0], str(port)


@contextmanager
def _borrowed(file: int) -> Iterator[socket.socket]:
    """Yield the server's own socket, not a duplicate: closing a duplicate of a file drops the locks on it."""
    handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=file)
    try:
        yield handle
    finally:
        handle.detach()


def _connection(file: int, peer: Peer, info: bytes) -> Connection:
    if len(info) < _INFO_BYTES:  # another kernel, such as gVisor's, reports less
        return Connection(file=file, peer=peer)
    (quiet_ms,), (unacked,) = struct.unpack_from("I", info, _LAST_DATA_MS), struct.unpack_from("I", info, _UNACKED)
    acked, received = struct.unpack_from("QQ", info, _ACKED)
    return Connection(
        file=file,
        peer=peer,
        quiet_s=quiet_ms / 1000,
        received_bytes=received,
        acked_bytes=acked,
        has_unread=bool(unacked or struct.unpack_from("I", info, _NOT_SENT)[0]),
        has_answered=bool(struct.unpack_from("I", info, _SEGMENTS_OUT)[0]),
    )
