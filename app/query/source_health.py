"""How reading from the store stands, by how the last queries ended. Pure but for its clock."""

import logging
from collections.abc import Callable
from typing import Literal

from app.runtime.clock import MICROSECONDS
from app.stores.source import QueryTimeoutError, QueryTooExpensiveError, StoreBusyError, StoreUnavailableError

ReadState = Literal["ACTIVE", "UNREACHABLE", "BUSY", "SLOW"]
_FORGOTTEN_US = 600 * MICROSECONDS  # what the store said so long ago, and nobody has asked since, is no news
_TIMEOUTS = 3  # one that is too slow says something about the query, several in a row about the store
_log = logging.getLogger("sluice.query")


class SourceHealth:
    """The state of reads by the last outcome, what the store said, and `since_us` when (microseconds, wall)."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._state: ReadState = "ACTIVE"
        self._detail = ""
        self.since_us = self._seen_us = now_us()
        self._timeouts = 0

    @property
    def state(self) -> ReadState:
        """How reading stands; ACTIVE as well where nobody has read for so long that nobody knows."""
        return "ACTIVE" if self._is_forgotten else self._state

    @property
    def detail(self) -> str:
        """What the store said; nothing while reading is ACTIVE."""
        return "" if self._is_forgotten else self._detail

    @property
    def _is_forgotten(self) -> bool:
        return self._now_us() - self._seen_us > _FORGOTTEN_US

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
        self._seen_us = self._now_us()
        if state != self._state:
            _log.warning("reads: %s%s", state, f": {detail}" if detail else f", after {self._state}")
            self.since_us = self._seen_us
        self._state, self._detail = state, detail
