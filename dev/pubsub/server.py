"""gRPC and REST behind one address, as the official emulator and PUBSUB_EMULATOR_HOST expect.

The first bytes of a connection tell: HTTP/2 starts with a fixed preface (RFC 9113 section 3.4) and is
relayed to the gRPC server on a port of its own; anything else is HTTP/1.1 and handed to aiohttp in place.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from dev.pubsub.broker import Broker
from dev.pubsub.grpc_api import grpc_server
from dev.pubsub.rest_api import rest_app
from dev.pubsub.service import PubsubService

_SHUTDOWN_S = 0.1  # a waiting pull is cut off: clients of a local Pub/Sub reconnect
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class PubsubServer:
    """A running local Pub/Sub: `start`, then `close`."""

    def __init__(self, broker: Broker) -> None:
        """Serve `broker`."""
        service = PubsubService(broker)
        self._grpc = grpc_server(service)
        self._rest = web.AppRunner(rest_app(service), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on `host`:`port` (0: a free one) and return the port. Raises OSError when it is taken."""
        grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        await self._grpc.start()
        await self._rest.setup()
        http = self._rest.server
        assert http is not None  # noqa: S101 - set by setup()
        loop = asyncio.get_running_loop()
        make_http = cast("Callable[[], asyncio.Protocol]", http)
        self._listener = await loop.create_server(lambda: _Sniffer(grpc_port, make_http), host, port)
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop both protocols at once: clients of a local Pub/Sub reconnect."""
        if self._listener is not None:
            self._listener.close()
        await self._grpc.stop(grace=None)
        await self._rest.cleanup()


class _Sniffer(asyncio.Protocol):
    """Reads just enough of a new connection to know its protocol, then steps aside."""

    def __init__(self, grpc_port: int, make_http: Callable[[], asyncio.Protocol]) -> None:
        self._grpc_port = grpc_port
        self._make_http = make_http
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        transport = self._transport
        if transport is None or self._dialling is not None:
            return
        if self._head.startswith(_PREFACE):
            self._dialling = asyncio.get_running_loop().create_task(self._relay(transport))
        elif not _PREFACE.startswith(self._head):
            http = self._make_http()
            transport.set_protocol(http)
            http.connection_made(transport)
            http.data_received(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dialling is not None:
            self._dialling.cancel()

    async def _relay(self, client: asyncio.Transport) -> None:
        try:
            server, _ = await asyncio.get_running_loop().create_connection(
                lambda: _Pipe(client), "127.0.0.1", self._grpc_port
            )
        except OSError:  # shutting down
            client.abort()
            return
        client.set_protocol(_Pipe(server))
        server.write(self._head)


class _Pipe(asyncio.Protocol):
    """Copies what one transport receives to the other, and passes back-pressure on."""

    def __init__(self, target: asyncio.Transport) -> None:
        self._target = target

    def data_received(self, data: bytes) -> None:
        self._target.write(data)

    def eof_received(self) -> None:
        self._target.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._target.close()

    def pause_writing(self) -> None:
        # What fills this side's transport is read from the other one.
        if not self._target.is_closing():
            self._target.pause_reading()

    def resume_writing(self) -> None:
        if not self._target.is_closing():
            self._target.resume_reading()
