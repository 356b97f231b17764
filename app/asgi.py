"""The ASGI application: which requests take which way, and what happens before the first and after the last one."""

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
from app.stores.registry import Backend
from app.telemetry.metrics import Metrics
from app.telemetry.requests import Requests

Background = Callable[[], list[Coroutine[Any, Any, None]]]
"""Returns what is to run as long as the application does."""


class Sluice(Litestar):
    """The application. Pushes take the short way past the framework's layers to the same endpoint."""

    instance: str
    ingests: bool
    ingest_service: IngestService
    query_service: QueryService
    metrics: Metrics
    requests: Requests
    outgoing: Outgoing
    unread: UnreadBodies
    clients: set[Peer]
    """Who has a request in progress. A connection has one at a time (HTTP/1.1), which is what `app.server` speaks."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
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
        """Admit nothing more, and wait until messages and reads are answered: at most `grace_s` seconds."""
        self.unread.close()
        await asyncio.gather(
            self.ingest_service.drain(grace_s),
            self.query_service.drain(grace_s),
            self.outgoing.drain(self.query_service.grace_s(grace_s)),
        )

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer whatever is no push."""
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
