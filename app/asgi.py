"""The ASGI application: how requests are dispatched, and what happens before the first and after the last one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar

from app.http import paths
from app.http.framing import check_host, has_body
from app.http.outgoing import Outgoing
from app.http.problems import ProblemError, send_problem
from app.http.response_headers import with_nosniff
from app.http.shedding import Peer
from app.http.unread import UnreadBodies
from app.ingest.setup import IngestService
from app.query.setup import QueryService
from app.stores.backend import Backend
from app.telemetry.metrics import Metrics
from app.telemetry.requests import Requests

Background = Callable[[], list[Coroutine[Any, Any, None]]]
"""Returns the coroutines to run for as long as the application does."""


class Sluice(Litestar):
    """The application. Pushes bypass the framework's layers and reach the same endpoint directly."""

    instance: str
    ingests: bool
    ingest_service: IngestService
    query_service: QueryService
    metrics: Metrics
    requests: Requests
    outgoing: Outgoing
    unread: UnreadBodies
    clients: set[Peer]
    """Clients with a request in progress: one per connection, as `app.server` speaks HTTP/1.1."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        client = scope.get("client")
        self.clients.add(client)
        try:
            if scope["path"] == paths.PUSH and scope["method"] == "POST" and self.ingests:
                if await self.ingest_service.push(scope["headers"], receive, send) >= 400:
                    await self.unread.discard(receive)
            else:
                await self._answer(scope, receive, with_nosniff(send))
        finally:
            self.clients.discard(client)

    async def drain(self, grace_s: float) -> None:
        """Admit nothing more, and wait at most `grace_s` seconds until messages and reads are answered."""
        self.unread.close()
        await asyncio.gather(
            self.ingest_service.drain(grace_s),
            self.query_service.drain(grace_s),
            self.outgoing.drain(self.query_service.grace_s(grace_s)),
        )

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve any request that is not a push."""
        if not has_body(scope["headers"]):
            await self.requests.answer(self._in_pieces, scope, receive, send)
            return
        has_ended = False

        async def watched() -> Any:
            nonlocal has_ended
            event = await receive()
            has_ended = has_ended or not event.get("more_body", False)
            return event

        await self.requests.answer(self._in_pieces, scope, watched, send)
        if not has_ended:
            await self.unread.discard(receive)

    async def _in_pieces(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            check_host(scope["headers"], scope.get("http_version", "1.1"))
        except ProblemError as problem:
            await send_problem(problem, send)
        else:
            await self.outgoing.answer(super().__call__, scope, receive, send)


def lifespan(
    background: Background, backend: Backend, grace_s: float
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return the life span that ends first: it answers admitted requests, then closes the store."""

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
