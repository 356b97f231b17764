"""One port for two protocols: detect a connection's protocol from its first bytes, and relay gRPC.

HTTP/2 starts with a fixed preface (RFC 9113 section 3.4); its bytes are copied to the gRPC server on a separate port,
and back. Anything else is HTTP/1.1 and is passed to the HTTP server in place.
"""

import asyncio
from collections.abc import Callable
from typing import cast

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Connections:
    """The transports of connections that do not belong to the HTTP server, on both sides of a relay.

    The gRPC server closes only its own side, some iterations of the loop later. A loop that is closed before that leaks
    the other transports.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._open: set[asyncio.Transport] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._closing = False

    def opened(self, transport: asyncio.Transport) -> None:
        """Hold `transport` until `ended`; after `close`, end it at once."""
        self._open.add(transport)
        self._none_left.clear()
        if self._closing:
            transport.abort()

    def ended(self, transport: asyncio.Transport) -> None:
        """Release `transport`, which has ended or has a new owner."""
        self._open.discard(transport)
        if not self._open:
            self._none_left.set()

    async def close(self) -> None:
        """End all transports, and return when they have ended."""
        self._closing = True
        for transport in self._open:
            transport.abort()
        await self._none_left.wait()


class Sniffer(asyncio.Protocol):
    """Reads just enough of a new connection to detect its protocol, then steps aside."""

    def __init__(self, grpc_port: int, make_http: Callable[[], asyncio.Protocol], connections: Connections) -> None:
        """Relay gRPC to `grpc_port`; pass anything else to a protocol of `make_http`."""
        self._grpc_port = grpc_port
        self._make_http = make_http
        self._connections = connections
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._dialling: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        self._transport = cast("asyncio.Transport", transport)
        self._connections.opened(self._transport)

    def data_received(self, data: bytes) -> None:
        """Step aside once the protocol is known."""
        self._head += data
        transport = self._transport
        if transport is None or self._dialling is not None:
            return
        if self._head.startswith(_PREFACE):
            self._dialling = asyncio.get_running_loop().create_task(self._relay(transport))
        elif not _PREFACE.startswith(self._head):
            http = self._make_http()
            transport.set_protocol(http)
            self._connections.ended(transport)
            http.connection_made(transport)
            http.data_received(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up: the client disconnected before it could be served."""
        if self._dialling is not None:
            self._dialling.cancel()
        if self._transport is not None:
            self._connections.ended(self._transport)

    async def _relay(self, client: asyncio.Transport) -> None:
        try:
            server, _ = await asyncio.get_running_loop().create_connection(
                lambda: _Pipe(client, self._connections), "127.0.0.1", self._grpc_port
            )
        except OSError:  # shutting down
            client.abort()
            return
        pipe = _Pipe(server, self._connections)
        pipe.connection_made(client)
        client.set_protocol(pipe)
        server.write(self._head)


class _Pipe(asyncio.Protocol):
    """Copies data from one transport to the other, and propagates back-pressure."""

    def __init__(self, target: asyncio.Transport, connections: Connections) -> None:
        self._target = target
        self._connections = connections
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.opened(self._transport)

    def data_received(self, data: bytes) -> None:
        self._target.write(data)

    def eof_received(self) -> None:
        self._target.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._target.close()
        if self._transport is not None:
            self._connections.ended(self._transport)

    def pause_writing(self) -> None:
        # The data that fills this side's transport is read from the other one.
        if not self._target.is_closing():
            self._target.pause_reading()

    def resume_writing(self) -> None:
        if not self._target.is_closing():
            self._target.resume_reading()
