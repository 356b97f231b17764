"""The reads that are being answered: each ends when its client has gone, and all of them when the service stops."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from litestar import Request, Response

from app.clock import Clock
from app.errors import ProblemError
from app.query.departure import unless_departed
from app.query.problems import answered


class Reads:
    """Answers reads, and lets a stopping service wait for them and then end them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[asyncio.Task[Response[bytes]]] = set()
        self._closed = False

    async def answer(
        self, request: Request[Any, Any, Any], work: Coroutine[Any, Any, Response[bytes]]
    ) -> Response[bytes]:
        """Return what `work` returns, unless the client goes or the service stops first: then `work` is cancelled.

        Raises:
            ProblemError: the store gave no answer, or the service is stopping.
        """
        if self._closed:
            work.close()
            raise _stopping()
        task = asyncio.create_task(unless_departed(request, answered(work)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await task
        except asyncio.CancelledError:
            handler = asyncio.current_task()
            if handler is not None and handler.cancelling():
                raise
            raise _stopping() from None

    async def drain(self, grace_s: float) -> None:
        """Wait until every read is answered, at most `grace_s` seconds; then end them, and begin no others."""
        timer = asyncio.ensure_future(self._clock.sleep(grace_s))
        while self._running and not timer.done():
            await asyncio.wait([timer, *self._running], return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        self._closed = True
        for task in self._running:
            task.cancel()


def _stopping() -> ProblemError:
    members, headers = {"retry_after_s": 1}, {"Retry-After": "1"}
    return ProblemError("unavailable", "the instance is shutting down", members=members, headers=headers)
