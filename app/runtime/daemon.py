"""Run blocking work in a thread that does not delay the end of the process."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_Result = TypeVar("_Result")


async def run_in_daemon_thread(work: Callable[[], _Result], name: str) -> _Result:
    """Return what `work` returns, or raise what it raises; if cancelled, leave the thread running.

    An executor's threads are joined when the loop or the process ends, however long a server takes to respond; these
    are not.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Result] = loop.create_future()

    def settle(found: _Result | None, error: Exception | None) -> None:
        if answer.done():  # the caller was cancelled
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found)  # type: ignore[arg-type] # None only where that is what `work` returns

    def run() -> None:
        found, failure = None, None
        try:
            found = work()
        except Exception as error:  # raised again where the result is awaited
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await answer
