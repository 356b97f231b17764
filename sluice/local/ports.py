"""Choose ports to listen on."""

import argparse
import random
import socket

HOST = "127.0.0.1"
# Below the ephemeral ports: an outgoing connection could occupy one of those before the listener does.
_QUIET_PORTS = range(20_000, 32_000)


def port_number(text: str) -> int:
    """Return the port that an argument names; 0 is for a free one.

    Raises:
        ArgumentTypeError: it is no port.
    """
    if text.isascii() and text.isdigit() and int(text) <= 65_535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: expected 1 to 65535, or 0 for a free one")


def choose_port(wanted: int | None, preferred: int) -> int:
    """Return `wanted` if it is available (else OSError); if it is None, `preferred` or a free port."""
    for port in [preferred, 0] if wanted is None else [wanted]:
        if free := _listenable(port):
            return free
    raise OSError(f"port {wanted} of {HOST} is in use: choose another with --port")


def quiet_ports(count: int) -> list[int]:
    """Return free ports for a process that is slow to bind them."""
    candidates = random.sample(_QUIET_PORTS, len(_QUIET_PORTS))
    free = (port for port in candidates if _listenable(port))
    return [next(free) for _ in range(count)]


def is_available(port: int) -> bool:
    """Return whether a process could listen on a port now."""
    return _listenable(port) is not None


def _listenable(port: int) -> int | None:
    """Return the port if it is available (for 0: the port assigned by the system), else None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
