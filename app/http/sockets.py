"""The connections to our own port, as the operating system sees them (Linux).

The server does not expose its connections. The kernel does: each is an open file of this process, and TCP_INFO reports
its traffic (https://man7.org/linux/man-pages/man7/tcp.7.html).
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.http.shedding import Connection, Peer

_FILES = "/proc/self/fd"
IS_SUPPORTED = sys.platform == "linux"
_INFO_BYTES = 160
# Offsets in struct tcp_info (linux/tcp.h): unacknowledged segments, milliseconds since data arrived, bytes acknowledged
# and received, bytes not sent yet, and data segments sent.
_UNACKED, _LAST_DATA_MS, _ACKED, _RECEIVED, _NOT_SENT, _SEGMENTS_OUT = 24, 52, 120, 128, 144, 156
# Constants of linux/tcp.h: Python defines them only if it was built on Linux.
_TCP_INFO, _TCP_NOTSENT_LOWAT = 11, 25
_NOT_SENT_LOW_WATER_BYTES = 131_072
_NO_WAIT = struct.pack("ii", 1, 0)


def open_files() -> int:
    """Return how many files this process has open."""
    return len(_files())


def connections(port: int) -> list[Connection]:
    """Return the connections that were accepted on `port`. Blocks for a few microseconds for each open file."""
    found = []
    for file in _files():
        with suppress(OSError), _borrowed(file) as handle:
            if _is_at(handle, port):
                found.append(
                    _connection(file, _peer(handle), handle.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _INFO_BYTES))
                )
    return found


def close(connection: Connection) -> bool:
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


def limit_unsent(port: int) -> None:
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
