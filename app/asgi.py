"""The ASGI application: how requests are dispatched, and what happens before the first and after the last one."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar

from app.auth.read_slots import release_slot
from app.health.probes import Health
from app.http import paths
from app.http.bodies import UnreadBodies, in_pieces
from app.http.headers import with_nosniff
from app.ingest.setup import IngestService
from app.query.setup import QueryService
from app.stores.backend import Backend
from app.telemetry.metrics import Metrics
from app.telemetry.requests import Requests

Background = Callable[[], list[Coroutine[Any, Any, None]]]
"""Returns the coroutines to run for as long as the application does."""


_NAMED_STREAM = re.compile("/[^/]+")


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """The halves that an instance's roles need, and what every response passes; a half is None without its role."""

    name: str
    ingest: IngestService | None
    query: QueryService | None
    health: Health
    metrics: Metrics
    requests: Requests
    unread: UnreadBodies

    async def drain(self, grace_s: float) -> None:
        """Admit nothing more, and wait at most `grace_s` seconds until messages and reads are answered."""
        self.health.is_draining = True
        self.unread.close()
        halves = [half.drain(grace_s) for half in (self.ingest, self.query) if half is not None]
        await asyncio.gather(*halves)


class Sluice:
    """The application: Litestar behind what every response passes. Pushes reach their endpoint directly."""

    def __init__(self, litestar: Litestar, instance: Instance) -> None:
        self.litestar, self.instance = litestar, instance

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.litestar(scope, receive, send)
            return
        ingest, path = self.instance.ingest, scope["path"]
        if ingest is not None and scope["method"] == "POST" and path.startswith(paths.PUSH):
            stream = path[len(paths.PUSH) :]
            if not stream or _NAMED_STREAM.fullmatch(stream):
                if await ingest.push(scope["headers"], receive, send, stream[1:]) >= 400:
                    await self.instance.unread.discard(receive)
                return
        has_ended = False

        async def watched() -> Any:
            nonlocal has_ended
            event = await receive()
            has_ended = has_ended or not event.get("more_body", False)
            return event

        await self.instance.requests.answer(self._answer, scope, watched, with_nosniff(send))
        if not has_ended:
            await self.instance.unread.discard(receive)

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Return the life span, for servers that do not run it themselves."""
        return self.litestar.lifespan()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve any request that is not a push."""
        try:
            await self.litestar(scope, receive, in_pieces(scope, receive, send))
        finally:
            release_slot(scope)


def lifespan(
    instance: Instance, backend: Backend, background: Background, grace_s: float
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return the life span that ends first: it answers admitted requests, then closes the store."""

    @asynccontextmanager
    async def lived(_: Litestar) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(work) for work in background()]
        try:
            yield
        finally:
            await instance.drain(grace_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await backend.close()

    return lived
