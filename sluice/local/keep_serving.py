"""Keep a stack serving until it is stopped: a service that ended is started again, so that one can try a crash."""

import asyncio
import itertools
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sluice.local.child import Child, ChildError
from sluice.local.environment import LocalStack

CANNOT_START = 2
"""The status of a service that will not start the next time either: a setting, the record type, the store."""
MOST_ATTEMPTS = 6
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
STEADY_S = 60.0
"""After so long without an end, the pauses begin again."""

_Result = TypeVar("_Result")


async def keep_serving(stack: LocalStack, stop: asyncio.Event, say: Callable[[str], None]) -> int:
    """Serve until `stop` is set and return 0; return 1 if a process ended that cannot be started again."""
    attempts, since = 0, asyncio.get_running_loop().time()
    while (ended := await _unless(stack.first_exit(), stop)) is not None:
        if ended is not stack.service:
            say(f"{ended.name} {how_it_ended(ended)}{ended.tail()}")
            return 1
        now = asyncio.get_running_loop().time()
        attempts, since = (0 if now - since > STEADY_S else attempts), now
        say(f"the service {how_it_ended(ended)}{ended.tail()}")
        attempts = await _started_again(stack, stop, say, attempts)
        if attempts > MOST_ATTEMPTS:
            return 1
    return 0


async def _started_again(stack: LocalStack, stop: asyncio.Event, say: Callable[[str], None], attempts: int) -> int:
    """Start the service again, more than once if need be; return the attempts so far, or more than is allowed."""
    for attempt in itertools.count(attempts + 1):
        pause_s = min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)
        say(f"starting it again in {pause_s:g} s; messages wait in Pub/Sub meanwhile")
        if await _unless(asyncio.sleep(pause_s, result=True), stop) is None:
            return attempt
        try:
            is_back = await _unless(_restarted(stack), stop)
        except ChildError as error:
            say(str(error))
            if stack.service.process.returncode == CANNOT_START or attempt >= MOST_ATTEMPTS:
                say("it is not started again: mend the cause, and run this command again")
                return MOST_ATTEMPTS + 1
        else:
            if is_back:
                say(f"the service is ready again at {stack.url}")
            return attempt
    raise AssertionError("counting does not end")


async def _restarted(stack: LocalStack) -> bool:
    await stack.restart_service()
    return True


def how_it_ended(child: Child) -> str:
    """Say how a process ended."""
    status = child.process.returncode or 0
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


async def _unless(work: Coroutine[Any, Any, _Result], stop: asyncio.Event) -> _Result | None:
    """Return what `work` returns, or None once `stop` is set."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() and not stopping.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
