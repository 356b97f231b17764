"""Threads: work that a shutdown does not wait for, and the scheduling of the server's own."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

_Result = TypeVar("_Result")


async def run_in_daemon_thread(work: Callable[[], _Result], name: str) -> _Result:
    """Return what `work` returns, or raise what it raises; if cancelled, leave the thread running.

    An executor's threads are joined when the loop or the process ends, however long a server takes to respond; these
    are not.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Result] = loop.create_future()

    def settle(result: _Result | None, error: Exception | None) -> None:
        if answer.done():  # the caller was cancelled
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type] # None only where that is what `work` returns

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # raised again where the result is awaited
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await answer


def shorten_switch_interval() -> None:
    """Have Python interrupt a thread sooner when another one waits for the interpreter.

    By default the waiting thread interrupts the holder after 5 ms, so requests arrive in lumps. The figures in
    docs/performance.md are with a tenth of that.
    """
    sys.setswitchinterval(0.0005)


@contextmanager
def started_in_the_background() -> Iterator[None]:
    """Keep threads that are started within the block from preempting others when they wake.

    The server reads and writes its sockets in its own threads. On Linux, a waking thread preempts the running one. On
    an instance with one processor, every request and every response would cost two context switches for a few
    microseconds of work. Threads under SCHED_BATCH do not preempt (https://man7.org/linux/man-pages/man7/sched.7.html),
    so they find more work at once.
    If the system does not support it (macOS, some sandboxes), they are ordinary threads.
    """
    try:
        usual, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # threads inherit it
    except (AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, usual, parameters)
