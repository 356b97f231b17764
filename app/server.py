"""The process around the application: listen, wait for a stop signal, drain, stop.

What clients hold is the business of the kernel and of the server: `TCP_USER_TIMEOUT` on the listening socket ends a
connection whose client reads nothing (accepted sockets inherit it), and the server closes one that sends no complete
request head, or no further request, for half a minute.
"""

import asyncio
import logging
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from app.asgi import Sluice
from app.runtime.memory import search_seldom_for_cycles
from app.runtime.threads import shorten_switch_interval, started_in_the_background
from app.settings.server import ServerSettings

_log = logging.getLogger("sluice")
_LOOK_AGAIN_S = 0.01
_LINGER_S = 0.25  # requests that have arrived by then are answered (503) rather than cut off
# The server waits forever for clients that do not read their responses. This limit, the grace period and the other
# waits add up to less than the 10 s that Cloud Run allows.
_UNREAD_S = 0.5
_BACKLOG = 4096  # pushes come in bursts of new connections
# The server stops accepting at `max_connections`, which includes idle connections. So this limit must not bound the
# load: admission does, and answers 429. Some files are reserved for the store.
_FILES_FOR_OTHERS = 128
_MAX_FILES = 65_536  # more are useless, and each one slows the start of a child process
# The kernel would buffer megabytes for one client; beyond this, unsent bytes wait with whoever made them.
_NOT_SENT_LOW_WATER_BYTES = 131_072
# Milliseconds to receive a request's head, and for a keep-alive connection to wait for its next request. The longest
# head is that of an unwrapped push with as many attributes as Pub/Sub allows.
_HTTP1 = HTTP1Settings(header_read_timeout=30_000, max_buffer_size=163_840)


class ListenError(Exception):
    """The service cannot listen on the address; the message names it and says why."""


class _Server(Server):
    """The server on a socket that is bound already: its own would share the address with any other process."""

    def __init__(self, app: Sluice, listener: socket.socket, **options: Any) -> None:
        super().__init__(app, **options)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        holder: Any = SocketHolder  # its constructor is not declared
        if sys.platform == "linux":
            self._shd = holder(self._listener.detach(), False, self.backlog)
        else:  # there the holder does not listen itself
            self._listener.listen(self.backlog)
            self._shd = holder(self._listener.detach(), False)


async def serve(app: Sluice, settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT; then admit nothing more, answer the admitted requests, and return.

    Raises:
        ListenError: the address is in use, or not this machine's.
    """
    address = f"http://{settings.host}:{settings.port}"
    try:
        listener = _bound(settings)
    except OSError as error:
        reason = f"{error.strerror or error}; set another SLUICE_PORT or SLUICE_HOST"
        raise ListenError(f"cannot listen on {address}: {reason}") from None
    _raise_file_limit()
    async with app.lifespan():  # not the server's: it may still be waiting for its clients
        await _serve(app, settings, listener, address)
    _log.info("stopped")


async def _serve(app: Sluice, settings: ServerSettings, listener: socket.socket, address: str) -> None:
    """Serve on `listener` until stopped."""
    server: Server = _Server(
        app,
        listener,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        backlog=_BACKLOG,
        backpressure=_max_connections(settings.max_connections),
        # With HTTP/2, every stream of a client could leave a response unread. Cloud Run speaks HTTP/1.1 to containers
        # unless configured otherwise (docs/decisions/0006).
        http=HTTPModes.http1,
        http1_settings=_HTTP1,
        websockets=False,
        log_level=LogLevels.error,
        log_dictconfig={"formatters": {}, "handlers": {}, "loggers": {}},  # use the root handler (telemetry.logs)
    )
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    with started_in_the_background():
        serving = asyncio.ensure_future(server.serve())
        await _accepts_connections(settings, serving)
    stop = asyncio.ensure_future(told_to_stop.wait())
    shorten_switch_interval()
    search_seldom_for_cycles()
    if not serving.done():  # else it raises what kept it from listening
        _log.info("listening on %s", address)
        await asyncio.wait([serving, stop], return_when=asyncio.FIRST_COMPLETED)
        _log.info("shutting down: accepting no more requests, completing those in flight")
        await app.instance.drain(settings.shutdown_grace_s)
        await asyncio.sleep(_LINGER_S)
        server.stop()
    stop.cancel()
    try:
        async with asyncio.timeout(_UNREAD_S):
            await serving
    except TimeoutError:
        _log.warning("leaving connections open whose clients no longer read")


def _bound(settings: ServerSettings) -> socket.socket:
    """Return a socket that is bound to the address, with the options that accepted connections inherit.

    Raises:
        OSError: the address is in use, or not this machine's.
    """
    family, kind, protocol, _, place = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else an earlier run's connections block it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(settings.client_stall_s * 1_000))
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _NOT_SENT_LOW_WATER_BYTES)
        listener.bind(place)
    except OSError:
        listener.close()
        raise
    return listener


def _raise_file_limit() -> None:
    """Raise the limit on open files as far as allowed: the usual 1,024 is meant for programs that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _max_connections(setting: int) -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return setting
    return min(setting, max(files - _FILES_FOR_OTHERS, files // 2))


async def _accepts_connections(settings: ServerSettings, serving: asyncio.Future[None]) -> None:
    """Wait until the server accepts connections, which it does not signal itself, or has failed."""
    probe = asyncio.ensure_future(_reach(settings))
    await asyncio.wait([serving, probe], return_when=asyncio.FIRST_COMPLETED)
    probe.cancel()


async def _reach(settings: ServerSettings) -> None:
    while True:
        try:
            _, connection = await asyncio.open_connection(settings.host, settings.port)
        except OSError:
            await asyncio.sleep(_LOOK_AGAIN_S)
        else:
            connection.close()
            return
