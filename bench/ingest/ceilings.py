"""What no service can exceed: answering 204, with less and less of what a service has to do.

    bare              an ASGI function under the server, that reads the body
    waiting           the same, whose answer waits for a future; one timer resolves all that came in the meantime, as
                      late as a store acknowledges: what any durable answer must pay
    litestar route    a Litestar route handler that reads the body and answers
    litestar mounted  the ASGI function, mounted in a Litestar application

`python -m bench.ingest.ceilings NAME --port PORT --ack-ms 20` runs one.
"""

import argparse
import asyncio
from collections.abc import Callable
from typing import Any

import uvloop
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, Request, asgi, get, post

CEILINGS = ("bare", "waiting", "litestar route", "litestar mounted")
"""Those that the service is held to."""
_PATH, _READY = "/pubsub/push", "/health/ready"
_BACKLOG, _CONNECTIONS = 4_096, 16_384  # as the service has them (app/server.py)


async def bare(_: Any, receive: Any, send: Any) -> None:
    """Read the body and answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Waiting:
    """Reads the body, and answers when a store would have acknowledged it."""

    def __init__(self, ack_ms: float) -> None:
        self._ack_s = ack_ms / 1_000
        self._filling: list[asyncio.Future[None]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one push; anything else at once."""
        if scope["path"] != _PATH:
            await bare(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        loop = asyncio.get_running_loop()
        acknowledged = loop.create_future()
        self._filling.append(acknowledged)
        if len(self._filling) == 1:
            loop.call_soon(self._append, loop)
        await acknowledged
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _append(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to wait with all that came in this turn of the loop: no batch waits for another one."""
        batch, self._filling = self._filling, []
        if self._ack_s:
            loop.call_later(self._ack_s, _resolve, batch)
        else:
            _resolve(batch)


def _resolve(batch: list[asyncio.Future[None]]) -> None:
    for acknowledged in batch:
        acknowledged.set_result(None)


@post(_PATH, status_code=204)
async def route(request: Request[Any, Any, Any]) -> None:
    """Read the body and answer, as a route handler."""
    await request.body()


@asgi(_PATH, copy_scope=False)
async def mounted(scope: Any, receive: Any, send: Any) -> None:
    """Read the body and answer, as a mounted application."""
    await bare(scope, receive, send)


@get(_READY)
async def ready() -> str:
    """Answer at once."""
    return ""


def application(name: str, ack_ms: float) -> Any:
    """Return one of them."""
    made: dict[str, Callable[[], Any]] = {
        "bare": lambda: bare,
        "waiting": lambda: Waiting(ack_ms),
        "litestar route": lambda: Litestar([route, ready], logging_config=None),
        "litestar mounted": lambda: Litestar([mounted, ready], logging_config=None),
    }
    return made[name]()


def main() -> None:
    """Serve one of them until killed."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest.ceilings", description=__doc__)
    parser.add_argument("name", choices=CEILINGS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ack-ms", type=float, default=20.0)
    options = parser.parse_args()
    server = Server(
        application(options.name, options.ack_ms),
        port=options.port,
        interface=Interfaces.ASGINL,
        websockets=False,
        log_enabled=False,
        backlog=_BACKLOG,
        backpressure=_CONNECTIONS,
    )
    uvloop.run(server.serve())


if __name__ == "__main__":
    main()
