"""The process around the application: listen, wait for a stop signal, drain, stop."""

import asyncio
import logging
import resource
import signal
import socket
from contextlib import suppress

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server

from app.asgi import Sluice
from app.http.connection_watch import ConnectionWatch
from app.http.outgoing import MAX_HEAD_BYTES
from app.runtime.clock import SystemClock
from app.runtime.memory import search_seldom_for_cycles
from app.runtime.threads import shorten_switch_interval, started_in_the_background
from app.settings.server import ServerSettings
from app.telemetry.redaction import first_line

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
# Milliseconds to receive a request's head, and for a keep-alive connection to wait for its next request.
_HTTP1 = HTTP1Settings(header_read_timeout=30_000, max_buffer_size=MAX_HEAD_BYTES)


class ListenError(Exception):
    """The service cannot listen on the address; the message names it and says why."""


async def serve(app: Sluice, settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT; then admit nothing more, answer the admitted requests, and return.

    Raises:
        ListenError: the address is in use, or not this machine's.
    """
    address = f"http://{settings.host}:{settings.port}"
    taken = _taken(settings)
    if taken is not None:
        raise _refused(address, taken)
    _raise_file_limit()
    async with app.lifespan():  # not the server's: it may still be waiting for its clients
        refusal = await _serve(app, settings, address)
    if refusal is not None:
        raise refusal
    _log.info("stopped")


async def _serve(app: Sluice, settings: ServerSettings, address: str) -> ListenError | None:
    """Serve until stopped; return the error if listening failed."""
    max_connections = _max_connections(settings.max_connections)
    watch = ConnectionWatch(
        settings.port,
        app.clients,
        SystemClock(),
        app.instance.metrics.closed_connections,
        max_connections=max_connections,
        stall_s=settings.client_stall_s,
    )
    app.instance.outgoing.cut = watch.cut
    server = Server(
        app,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        backlog=_BACKLOG,
        backpressure=max_connections,
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
        listened = await _accepts_connections(settings, serving)
    stop = asyncio.ensure_future(told_to_stop.wait())
    watching = asyncio.ensure_future(watch.run())
    shorten_switch_interval()
    search_seldom_for_cycles()
    if listened:
        _log.info("listening on %s", address)
        await asyncio.wait([serving, stop], return_when=asyncio.FIRST_COMPLETED)
        _log.info("shutting down: accepting no more requests, completing those in flight")
        await app.instance.drain(settings.shutdown_grace_s)
        await asyncio.sleep(_LINGER_S)
        server.stop()
    stop.cancel()
    watching.cancel()
    try:
        async with asyncio.timeout(_UNREAD_S if listened else None):
            await serving
    except TimeoutError:
        _log.warning("leaving connections open whose clients no longer read")
    except RuntimeError as error:
        if listened:
            raise
        return _refused(address, first_line(error))  # the server appends its own traceback
    return None


def _taken(settings: ServerSettings) -> str | None:
    """Return why the address cannot be bound, or None if it can.

    The server lets several processes listen on one address (SO_REUSEPORT), so a second service started by mistake
    would silently receive part of the first one's requests. Without that option an address has one owner.
    """
    try:
        for family, kind, protocol, _, place in socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(
                    socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
                )  # otherwise connections left by an earlier run block the port
                trial.bind(place)
    except OSError as error:
        return str(error.strerror or error)
    return None


def _refused(address: str, reason: str) -> ListenError:
    return ListenError(f"cannot listen on {address}: {reason}; set another SLUICE_PORT or SLUICE_HOST")


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


async def _accepts_connections(settings: ServerSettings, serving: asyncio.Future[None]) -> bool:
    """Wait until the server accepts connections, which it does not signal itself; return False if it failed."""
    probe = asyncio.ensure_future(_reach(settings))
    await asyncio.wait([serving, probe], return_when=asyncio.FIRST_COMPLETED)
    probe.cancel()
    return not serving.done()


async def _reach(settings: ServerSettings) -> None:
    while True:
        try:
            _, connection = await asyncio.open_connection(settings.host, settings.port)
        except OSError:
            await asyncio.sleep(_LOOK_AGAIN_S)
        else:
            connection.close()
            return
