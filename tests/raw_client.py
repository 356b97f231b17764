"""Clients that do what no HTTP library does: say nothing, break off, or read nothing."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT_S = 30.0
_SMALL_WINDOW_BYTES = 4_096


@contextmanager
def connected(url: str, sent: bytes = b"", *, small_window: bool = False) -> Iterator[socket.socket]:
    """Connect, and send something; with a small window the system takes next to nothing for the client."""
    place = urlsplit(url)
    with socket.socket() as client:
        client.settimeout(TIMEOUT_S)
        if small_window:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_WINDOW_BYTES)
        client.connect((place.hostname, place.port))
        client.sendall(sent)
        yield client


@contextmanager
def many(count: int, url: str, sent: bytes = b"", *, small_window: bool = False) -> Iterator[list[socket.socket]]:
    """Connect so many times."""
    with ExitStack() as stack:
        yield [stack.enter_context(connected(url, sent, small_window=small_window)) for _ in range(count)]


def status(client: socket.socket) -> int:
    """Return the status of the answer, as far as it is there: 0 where the connection was closed without one."""
    try:
        line = client.recv(4_096).partition(b"\r\n")[0]
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0


def read_to_end(client: socket.socket) -> bytes:
    """Return whatever comes until the connection ends, however it ends."""
    found = []
    try:
        while part := client.recv(1 << 20):
            found.append(part)
    except ConnectionError:
        pass
    return b"".join(found)


def peak_bytes(process_id: int) -> int:
    """Return the most memory that a process has had so far (Linux)."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
