"""gRPC and REST behind one address, as the official emulator and PUBSUB_EMULATOR_HOST expect.

The first bytes of a connection decide (`front`): HTTP/2 is relayed to the gRPC server on a separate port,
anything else is passed to aiohttp in place.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from sluice.local.pubsub.broker import Broker
from sluice.local.pubsub.front import Connections, Sniffer
from sluice.local.pubsub.grpc_api import grpc_server
from sluice.local.pubsub.rest_api import rest_app
from sluice.local.pubsub.service import PubsubService

_SHUTDOWN_S = 0.1  # a waiting pull is cut off: clients of a local Pub/Sub reconnect


class PubsubServer:
    """A running local Pub/Sub: `start`, then `close`."""

    def __init__(self, broker: Broker) -> None:
        """Serve `broker`."""
        service = PubsubService(broker)
        self._grpc = grpc_server(service)
        self._rest = web.AppRunner(rest_app(service), access_log=None, shutdown_timeout=_SHUTDOWN_S)
        self._connections = Connections()
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on `host`:`port` (0: a free one) and return the port. Raises OSError if it is in use."""
        grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        await self._grpc.start()
        await self._rest.setup()
        http = self._rest.server
        assert http is not None  # noqa: S101 - set by setup()
        loop = asyncio.get_running_loop()
        make_http = cast("Callable[[], asyncio.Protocol]", http)
        self._listener = await loop.create_server(lambda: Sniffer(grpc_port, make_http, self._connections), host, port)
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop both protocols at once, and return when no connection is left: clients of a local Pub/Sub reconnect."""
        if self._listener is not None:
            self._listener.close()
        await self._grpc.stop(grace=None)
        await self._rest.cleanup()
        await self._connections.close()
