"""The ASGI application: which requests take which way, and what happens before the first and after the last one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar

from app import paths
from app.backend import Backend
from app.ingest.way_in import WayIn
from app.query.way_out import WayOut
from app.response_headers import with_nosniff
from app.telemetry.requests import Requests

Background = Callable[[], list[Coroutine[Any, Any, None]]]
"""Returns what is to run as long as the application does."""


class Sluice(Litestar):
    """The application. Pushes take the short way past the framework's layers to the same endpoint."""

    instance: str
    ingests: bool
    way_in: WayIn
    way_out: WayOut
    requests: Requests

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
        elif scope["path"] == paths.PUSH and scope["method"] == "POST" and self.ingests:
            await self.way_in.push(scope["headers"], receive, send)
        else:
            await self.requests.answer(super().__call__, scope, receive, with_nosniff(send))

    async def drain(self, grace_s: float) -> None:
        """Admit nothing more, and wait until messages and reads are answered: at most `grace_s` seconds."""
        await asyncio.gather(self.way_in.drain(grace_s), self.way_out.drain(grace_s))


def lifespan(
    background: Background, backend: Backend, grace_s: float
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return the part of an application's life that ends first: answer what was admitted, then close the store."""

    @asynccontextmanager
    async def lived(app: Litestar) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(work) for work in background()]
        try:
            yield
        finally:
            if isinstance(app, Sluice):
                await app.drain(grace_s)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await backend.close()

    return lived
