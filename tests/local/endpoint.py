"""A push endpoint that records what it is sent and answers as it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from sluice.testing.pace import patience_s

TIMEOUT_S = patience_s(60.0)


class Push(NamedTuple):
    headers: dict[str, str]
    body: bytes
    path: str = "/pubsub/push"

    @property
    def envelope(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        return decoded

    @property
    def message_id(self) -> str:
        return str(self.envelope["message"]["messageId"])


Answer = Callable[[Push], Awaitable[int]]


class Endpoint:
    """`answer` decides the status; every push is kept in `pushes`, in order of arrival."""

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self.answer: Answer = stored
        self.url = ""
        self._changed = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        push = Push(dict(request.headers), await request.read(), request.path)
        async with self._changed:
            self.pushes.append(push)
            self._changed.notify_all()
        status = await self.answer(push)
        headers = {"Location": "/pubsub/push"} if 300 <= status < 400 else {}
        return web.Response(status=status, text="" if status == 204 else "because", headers=headers)

    async def received(self, count: int) -> list[Push]:
        """Wait for the first `count` pushes."""
        async with asyncio.timeout(TIMEOUT_S), self._changed:
            await self._changed.wait_for(lambda: len(self.pushes) >= count)
        return self.pushes[:count]


async def stored(_: Push) -> int:
    """Answer as a service that stored the message."""
    return 204


@contextlib.asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[Endpoint]:
    """Serve a push endpoint on `port`, 0 for a free one."""
    endpoint = Endpoint()
    app = web.Application(client_max_size=20_000_000)
    app.router.add_post("/pubsub/push{below:.*}", endpoint.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        bound = runner.addresses[0][1]
        endpoint.url = f"http://127.0.0.1:{bound}/pubsub/push"
        yield endpoint
    finally:
        await runner.cleanup()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, for what has no event of its own to wait on."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - the condition belongs to another object
            await asyncio.sleep(0.002)
