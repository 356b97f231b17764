"""A client that hangs up ends what is done for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from litestar import Litestar, Request, Response, get

from app.http.problems import EXCEPTION_HANDLERS
from app.query.read.reads import cancel_on_disconnect
from tests.query.export_server import embedded


class Work:
    """Something that takes until it is let go, and knows how it ended."""

    def __init__(self) -> None:
        self.begun, self.go, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> Response[bytes]:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            self.ended.set()
        return Response(b"done", media_type="text/plain")


def application(work: Work) -> Litestar:
    """Return an application whose one route does `work`."""

    @get("/")
    async def handler(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await cancel_on_disconnect(request, work())

    return Litestar([handler], exception_handlers=EXCEPTION_HANDLERS, logging_config=None)


@asynccontextmanager
async def served(work: Work) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve `work`, and give a connection that has asked for it."""
    async with embedded(application(work)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(60):
            await work.begun.wait()
        try:
            yield reader, writer
        finally:
            work.go.set()
            writer.close()


@contextmanager
def loop_errors() -> Iterator[list[dict[str, Any]]]:
    """Collect what the loop has to complain about."""
    found: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


async def test_a_cut_connection_cancels_the_work() -> None:
    """As the real server tells it."""
    work = Work()
    with loop_errors() as errors:
        async with served(work) as (_, writer):
            writer.close()
            async with asyncio.timeout(60):
                await work.ended.wait()
    assert work.cancelled
    assert errors == []
