"""The connections of our own port, as the operating system knows them (Linux).

The server accepts, reads and writes by itself and says nothing of its connections. The system does: each is an open
file of this process, and TCP_INFO tells what has passed (https://man7.org/linux/man-pages/man7/tcp.7.html).
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.shedding import Connection, Peer

_FILES = "/proc/self/fd"
IS_SUPPORTED = sys.platform == "linux"
_INFO_BYTES = 160
# Of struct tcp_info (linux/tcp.h): unacked segments, milliseconds since data came, bytes acknowledged and received,
# bytes not sent yet, and segments of data sent.
_UNACKED, _LAST_DATA_MS, _ACKED, _RECEIVED, _NOT_SENT, _SEGMENTS_OUT = 24, 52, 120, 128, 144, 156
# Numbers of Linux (linux/tcp.h): Python names them only where it was built on it.
_TCP_INFO, _TCP_NOTSENT_LOWAT = 11, 25
_NOT_SENT_LOW_WATER_BYTES = 131_072
_NO_WAIT = struct.pack("ii", 1, 0)


def open_files() -> int:
    """Return how many files this process has open."""
    return len(_files())


def connections(port: int) -> list[Connection]:
    """Return the connections that were accepted on `port`. It blocks for a few microseconds for each open file."""
    found = []
    for file in _files():
        with suppress(OSError), _borrowed(file) as handle:
            if _is_at(handle, port):
                found.append(
                    _connection(file, _peer(handle), handle.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES))
                )
    return found


def close(connection: Connection) -> bool:
    """End a connection, in both directions and without waiting for its client; return False where it has gone.

    The server notices at once, and closes its file. Between the look and the end that file could in theory have become
    another connection's, which would then be closed instead, in its first microseconds.
    """
    with suppress(OSError), _borrowed(connection.file) as handle:
        if _peer(handle) == connection.peer:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_WAIT)
            handle.shutdown(socket.SHUT_RDWR)
            return True
    return False


def limit_unsent(port: int) -> None:
    """Let the system hold little that it cannot send yet on each connection that is accepted from now on.

    What is on its way is bounded by the client's window; beyond that, Linux would buffer megabytes for one connection.
    """
    for file in _files():
        with suppress(OSError), _borrowed(file) as handle:
            if _is_at(handle, port) and handle.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                handle.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOT_SENT_LOW_WATER_BYTES)


def _files() -> list[int]:
    return [int(name) for name in os.listdir(_FILES)]  # noqa: PTH208 - paths would cost more than the look itself


def _is_at(handle: socket.socket, port: int) -> bool:
    address = handle.getsockname()
    return isinstance(address, tuple) and address[1] == port  # else another family, such as Unix's, which has a name


def _peer(handle: socket.socket) -> Peer:
    host, port = handle.getpeername()[:2]  # a listener has none, and raises
    return host.partition("%")[0], str(port)


@contextmanager
def _borrowed(file: int) -> Iterator[socket.socket]:
    """Yield the server's own socket. It is not duplicated: to close a duplicate of a file drops the locks on it."""
    handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=file)
    try:
        yield handle
    finally:
        handle.detach()


def _connection(file: int, peer: Peer, info: bytes) -> Connection:
    if len(info) < _INFO_BYTES:  # another kernel, such as gVisor's, tells less
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
