"""The health of reads from the store, by the outcome of the last queries. Pure except for its clock."""

import logging
from collections.abc import Callable
from typing import Literal

from app.runtime.clock import MICROSECONDS
from app.stores.source import QueryTimeoutError, QueryTooExpensiveError, StoreBusyError, StoreUnavailableError

ReadState = Literal["ACTIVE", "UNREACHABLE", "BUSY", "SLOW"]
_FORGOTTEN_US = 600 * MICROSECONDS  # without queries, an outcome this old says nothing about the store now
_TIMEOUTS = 3  # one timeout says something about the query, several in a row about the store
_log = logging.getLogger("sluice.query")


class SourceHealth:
    """The state of reads by the last outcome, the store's message, and `since_us`, its start (microseconds, wall)."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._state: ReadState = "ACTIVE"
        self._detail = ""
        self.since_us = self._seen_us = now_us()
        self._timeouts = 0

    @property
    def state(self) -> ReadState:
        """The state of reads; also ACTIVE if the last query is too long ago to tell."""
        return "ACTIVE" if self._is_forgotten else self._state

    @property
    def detail(self) -> str:
        """The store's message; empty while the state is ACTIVE."""
        return "" if self._is_forgotten else self._detail

    @property
    def _is_forgotten(self) -> bool:
        return self._now_us() - self._seen_us > _FORGOTTEN_US

    def note(self, error: BaseException | None) -> None:
        """Record the outcome of a query; None: success."""
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
            case _:  # a client that disconnected, or a defect: neither is the store's fault
                pass

    def _turn(self, state: ReadState, detail: str) -> None:
        self._seen_us = self._now_us()
        if state != self._state:
            _log.warning("reads: %s%s", state, f": {detail}" if detail else f", after {self._state}")
            self.since_us = self._seen_us
        self._state, self._detail = state, detail
