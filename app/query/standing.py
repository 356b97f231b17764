"""How reading from the store stands, by how the last queries ended. Pure but for its clock."""

import logging
from collections.abc import Callable
from typing import Literal

from app.query.runner import QueryTimeoutError, QueryTooExpensiveError, StoreBusyError, StoreUnavailableError

ReadState = Literal["ACTIVE", "UNREACHABLE", "BUSY", "SLOW"]
_TIMEOUTS = 3  # one that is too slow says something about the query, several in a row about the store
_log = logging.getLogger("sluice.query")


class ReadStanding:
    """The state of reads: `state` by the last outcome, what the store said, and since when (microseconds, wall)."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self.state: ReadState = "ACTIVE"
        self.detail = ""
        self.since_us = now_us()
        self._timeouts = 0

    def note(self, error: BaseException | None) -> None:
        """Take note of how a query ended; None: with an answer."""
        match error:
            case None | QueryTooExpensiveError():
                self._timeouts = 0
                self._turn("ACTIVE", "")
            case StoreBusyError():
                self._turn("BUSY", str(error))
            case StoreUnavailableError():
                self._turn("UNREACHABLE", str(error))
            case QueryTimeoutError():
                self._timeouts += 1
                if self._timeouts >= _TIMEOUTS:
                    self._turn("SLOW", str(error))
            case _:  # a client that went, or a defect: neither is the store's
                pass

    def _turn(self, state: ReadState, detail: str) -> None:
        if state != self.state:
            _log.warning("reads: %s%s", state, f": {detail}" if detail else f", after {self.state}")
            self.since_us = self._now_us()
        self.state, self.detail = state, detail
