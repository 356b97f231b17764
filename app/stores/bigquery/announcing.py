"""Write the marks of this instance, and let its appends be stamped only while it is announced."""

import asyncio
import logging

from app.runtime.clock import MICROSECONDS, Clock
from app.runtime.deadlines import first_within, set_within
from app.stores.bigquery.watermarks import Announcer, Limits, Mark, encode
from app.stores.sink import (
    NO_MESSAGE,
    Appender,
    Outcome,
    RowsHeld,
    RowsRefused,
    SetupError,
    Stored,
    TooLarge,
    Uncertain,
)
from app.stores.stamping import ClockTroubleError

INTERVAL_S = 1.0
_SETUP_PAUSE_S = 5.0  # until a table that is missing or wrong is tried again
_JOIN_WAIT_S = 3.0  # by then a mark is nearly always stored, and the append has time left
_BYE_WAIT_S = 2.0
_log = logging.getLogger("sluice.watermarks")


class Announcing:
    """Announces this instance through the appender of the table of marks.

    It begins with the first append of a row, or with `join`.
    """

    def __init__(self, instance: str, limits: Limits, clock: Clock, appender: Appender) -> None:
        self._announcer, self._limits, self._clock = Announcer(instance, limits), limits, clock
        self._appender, self._encoder = appender, appender.encoder(NO_MESSAGE)
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._tried_next = asyncio.Event()
        self._failure: Outcome | None = None

    async def join(self) -> None:
        """Begin to write marks, if that has not begun yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def obstacle(self) -> SetupError | Uncertain | None:
        """Return why nothing may be stamped now, after waiting for a mark for a while; None if there is no obstacle."""
        await self.join()
        if self._announcer.may_stamp(self._clock.now_us()):
            return None
        if not isinstance(self._failure, SetupError):
            self._tried_next.clear()
            await set_within(self._clock, _JOIN_WAIT_S, self._tried_next)
        if self._announcer.may_stamp(self._clock.now_us()):
            return None
        return self._failure if isinstance(self._failure, SetupError) else Uncertain(self._reason())

    def stamp(self, attempt: object) -> int:
        """Return the stamp of an attempt that is about to be sent, in microseconds since the Unix epoch.

        Raises:
            ClockTroubleError: nothing may be stamped.
        """
        stamp_us = self._announcer.stamp_us(self._clock.now_us())
        if stamp_us is None:
            raise ClockTroubleError(self._reason())
        self._announcer.sent(attempt, stamp_us)
        return stamp_us

    def ended(self, attempt: object, outcome: Outcome | None) -> None:
        """Note how an attempt ended; None if it was cancelled.

        Only what names the rows or the table's columns says for certain that nothing will be stored later.
        """
        if isinstance(outcome, Stored | RowsRefused | RowsHeld | TooLarge):
            self._announcer.answered(attempt)
        else:
            self._announcer.abandoned(attempt, self._clock.now_us())

    async def close(self) -> None:
        """Write no more marks. Say goodbye if no row may become visible any more; call it after the last append."""
        if self._task is None:
            return
        turn = asyncio.ensure_future(self._turn.acquire())  # a cancelled append would take its connection along
        await first_within(self._clock, _BYE_WAIT_S, turn)
        turn.cancel()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        bye = self._announcer.bye(self._clock.now_us())
        if bye is not None:
            await self._stored(bye, _BYE_WAIT_S)

    async def _run(self) -> None:
        while True:
            pause_s = INTERVAL_S
            try:
                async with self._turn:
                    pause_s = await self._mark()
            except Exception:  # a defect here must not end the marks for good
                _log.exception("a watermark could not be written")
            await self._clock.sleep(pause_s)

    async def _mark(self) -> float:
        """Write a mark; return the seconds until the next one."""
        mark = self._announcer.mark(self._clock.now_us())
        outcome = await self._stored(mark, self._limits.append_deadline_us / MICROSECONDS)
        if isinstance(outcome, Stored):
            self._announcer.stored(mark, self._clock.now_us())
            if self._failure is not None:
                _log.info("watermarks are stored again")
            self._failure = None
            self._tried_next.set()
            return INTERVAL_S
        if self._failure is None:
            _log.warning("a watermark was not stored; readers will fall back to the settle time: %s", _detail(outcome))
        self._failure = outcome
        if not isinstance(outcome, SetupError):
            return INTERVAL_S
        self._tried_next.set()
        return _SETUP_PAUSE_S

    async def _stored(self, mark: Mark, within_s: float) -> Outcome:
        appending = asyncio.ensure_future(self._appender.append([encode(self._encoder, mark)]))
        try:
            await first_within(self._clock, within_s, appending)
            return appending.result() if appending.done() else Uncertain(f"no answer within {within_s:g} s")
        finally:
            appending.cancel()

    def _reason(self) -> str:
        why = "" if self._failure is None else f": {_detail(self._failure)}"
        return f"this instance is not announced in the table of instances{why}"


def _detail(outcome: Outcome) -> str:
    return getattr(outcome, "detail", "") or type(outcome).__name__
