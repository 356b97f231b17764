"""The reads that are being answered: each ends when its client has gone, and all of them when the service stops."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from litestar import Request, Response

from app.http.problems import ProblemError
from app.query.cancel_on_disconnect import unless_departed
from app.query.problems import answered
from app.runtime.clock import Clock

_ENDING_S = 1.0
_Result = TypeVar("_Result")


class Reads:
    """Answers reads, and lets a stopping service wait for them and then end them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[asyncio.Task[Any]] = set()
        self._stops: set[Callable[[], None]] = set()
        self._closed = False
        self.stopping = asyncio.Event()
        """Set as soon as the service is told to stop: whoever only waits for something to happen waits no longer."""

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
        answering = answered(work)
        task = self._run(unless_departed(request, answering))
        try:
            return await task
        except asyncio.CancelledError:
            handler = asyncio.current_task()
            if handler is not None and handler.cancelling():
                raise
            raise _stopping() from None
        finally:
            _close_unstarted(answering, work)

    def check_open(self) -> None:
        """Refuse what would only begin to wait.

        Raises:
            ProblemError: the service is stopping.
        """
        if self.stopping.is_set():
            raise _stopping()

    async def stream(
        self,
        request: Request[Any, Any, Any],
        sending: Coroutine[Any, Any, None],
        stop: Callable[[], None] | None = None,
    ) -> None:
        """Await `sending`, which sends an answer piece by piece; cancel it once the client goes or the service stops.

        What was sent by then stays without its end, which is for the client to see. `stop` is called as soon as the
        service is told to stop: it lets what waits for something to happen end by itself.

        Raises:
            ProblemError: the service is stopping, and nothing was sent.
        """
        if self._closed:
            sending.close()
            raise _stopping()

        async def sent() -> Response[bytes]:
            await sending
            return Response(b"")

        working = sent()
        task = self._run(unless_departed(request, working))
        if stop is not None:
            self._stops.add(stop)
            if self.stopping.is_set():
                stop()
        try:
            await task
        except asyncio.CancelledError:
            handler = asyncio.current_task()
            if handler is not None and handler.cancelling():
                raise
        finally:
            if stop is not None:
                self._stops.discard(stop)
            task.cancel()
            _close_unstarted(working, sending)

    async def pause(self, seconds: float) -> bool:
        """Wait for `seconds`; return False, at once, when the service is told to stop."""
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait([timer, stop], return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            stop.cancel()
        return not self.stopping.is_set()

    async def drain(self, grace_s: float) -> None:
        """Wait until every read is answered, at most `grace_s` seconds; then end them, and begin no others."""
        self.stopping.set()
        for stop in [*self._stops]:
            stop()
        timer = asyncio.ensure_future(self._clock.sleep(grace_s))
        while self._running and not timer.done():
            await asyncio.wait([timer, *self._running], return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        self._closed = True
        ending = [*self._running]
        for task in ending:
            task.cancel()
        if ending:  # until the store was told to stop, too, which is a matter of turns of the loop
            await asyncio.wait(ending, timeout=_ENDING_S)

    def _run(self, work: Coroutine[Any, Any, _Result]) -> "asyncio.Task[_Result]":
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


def _close_unstarted(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Close what was cancelled before its first step, and so is awaited by nobody."""
    for coroutine in coroutines:
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            coroutine.close()


def _stopping() -> ProblemError:
    members, headers = {"retry_after_s": 1}, {"Retry-After": "1"}
    return ProblemError("unavailable", "the instance is shutting down", members=members, headers=headers)
