"""Bound how many responses an instance makes and sends at once, in all and for each caller.

A read takes a slot before it queries the store, and gives it back once the server has taken its whole response. The
server takes some 170 KiB more than a client reads; a client that reads nothing keeps its slot until the kernel ends the
connection (`app.server`). So the slots bound the memory for responses, each of one page or one export.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.http.problems import ProblemError
from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.ledger import share_of_one

PATIENCE_S = 5.0
"""How long a request waits for a slot."""
_SLOT = "read_slot"  # in the request's state
_LOOK_AGAIN_S = 0.05
_log = logging.getLogger("sluice.answers")


class ReadSlots:
    """Gives `most` slots, at most three quarters of them to one caller; further requests wait `patience_s` for one.

    `noun` says in the plural what has the slots.
    """

    def __init__(self, most: int, clock: Clock, patience_s: float = PATIENCE_S, noun: str = "reads") -> None:
        self._most, self._share, self._patience_s = most, share_of_one(most), patience_s
        self._noun = noun
        self._clock = clock
        self._all = asyncio.Semaphore(most)
        self._of_callers: dict[str, asyncio.Semaphore] = {}  # the configuration bounds the number of callers
        self.taken = 0

    async def enter(self, caller: str, state: dict[str, Any]) -> None:
        """Take a slot for a request of `caller`, and leave it in the request's `state`.

        Raises:
            ProblemError: `busy`: no slot became free in time.
        """
        state[_SLOT] = slot = Slot(self, caller)
        await slot.take()

    async def take(self, caller: str) -> None:
        """Take a slot; raise as `enter`."""
        own = self._of_callers.setdefault(caller, asyncio.Semaphore(self._share))
        try:
            async with asyncio.timeout(self._patience_s):
                await own.acquire()
                try:
                    await self._all.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError:
            raise self._busy(caller, own) from None
        self.taken += 1

    def give_back(self, caller: str) -> None:
        """Give back a slot."""
        self.taken -= 1
        self._all.release()
        self._of_callers[caller].release()

    @asynccontextmanager
    async def held(self, caller: str) -> AsyncIterator[None]:
        """Hold a slot during a block; raise as `enter`."""
        await self.take(caller)
        try:
            yield
        finally:
            self.give_back(caller)

    async def drain(self, grace_s: float) -> None:
        """Wait up to `grace_s` seconds until no slot is taken: every response has been sent."""
        until_us = self._clock.elapsed_us() + round(grace_s * MICROSECONDS)
        while self.taken and self._clock.elapsed_us() < until_us:
            await self._clock.sleep(_LOOK_AGAIN_S)
        if self.taken:
            _log.warning("%d responses are cut short: their clients have not read them", self.taken)

    def _busy(self, caller: str, own: asyncio.Semaphore) -> ProblemError:
        most = f"{caller} has {self._share}" if own.locked() else f"this instance has {self._most}"
        retry_s = round(PATIENCE_S)
        return ProblemError(
            "busy",
            f"{most} {self._noun} in progress, the most at once; try again in {retry_s} s",
            members={f"max_{self._noun}": self._most, "retry_after_s": retry_s},
            headers={"Retry-After": str(retry_s)},
        )


class Slot:
    """The slot of one request, which may give it back early and take one again."""

    def __init__(self, slots: ReadSlots, caller: str) -> None:
        self._slots, self._caller, self._is_taken = slots, caller, False

    async def take(self) -> None:
        """Take a slot; raise as `ReadSlots.enter`."""
        await self._slots.take(self._caller)
        self._is_taken = True

    def give_back(self) -> None:
        """Give it back, if it is taken."""
        if self._is_taken:
            self._is_taken = False
            self._slots.give_back(self._caller)


def release_slot(scope: Any) -> None:
    """Give back the slot of a request that has ended, or only waits from now on; do nothing if it has none."""
    slot: Slot | None = scope.get("state", {}).get(_SLOT)
    if slot is not None:
        slot.give_back()


@asynccontextmanager
async def slot_released(scope: Any) -> AsyncIterator[None]:
    """Give back the slot of a request while the block waits for new rows; take one again for the response.

    Raises:
        ProblemError: `busy`: no slot became free in time.
    """
    release_slot(scope)
    yield
    slot: Slot | None = scope.get("state", {}).get(_SLOT)
    if slot is not None:
        await slot.take()
