"""Keep a stack serving until it is stopped: a service that ended is started again, so that one can try a crash."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sluice.local.child import Child, ChildError
from sluice.local.environment import LocalStack

PAUSE_S = 0.5

_Result = TypeVar("_Result")


async def keep_serving(stack: LocalStack, stop: asyncio.Event, say: Callable[[str], None]) -> int:
    """Serve until `stop` is set and return 0; return 1 if a process ended that is not started again."""
    while (ended := await _unless(stack.first_exit(), stop)) is not None:
        say(f"{ended.name} {how_it_ended(ended)}{ended.tail()}")
        if ended is not stack.service:
            return 1
        say("starting it again; messages wait in Pub/Sub meanwhile")
        try:
            if await _unless(_restarted(stack), stop):
                say(f"the service is ready again at {stack.url}")
        except ChildError as error:
            say(f"{error}\nit is not started again: mend the cause, and run this command again")
            return 1
    return 0


async def _restarted(stack: LocalStack) -> bool:
    await asyncio.sleep(PAUSE_S)
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
