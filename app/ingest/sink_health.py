"""How one table of the store stands: its named state, and the pause in which nothing is asked of it."""

import asyncio
import logging

import msgspec

from app.ingest.retry_policy import Throttled, Trip, Unavailable, stop_for
from app.runtime.clock import MICROSECONDS, Clock
from app.stores.sink import SetupError, SinkState, Stored
from app.telemetry.redaction import TrustedText

_log = logging.getLogger("sluice.writer")
MAX_FAILURES = 10  # beyond it the back-offs have long reached their ceilings
_MAX_ACCUSERS = 100
# What a look at the table can tell is over. That rows may not be written, or not so many, only an append can tell.
_SEEN_ON_THE_TABLE = {SinkState.NOT_FOUND, SinkState.SCHEMA_MISMATCH}


class SinkHealth:
    """How a table stands, by its appends and by looks at it.

    `state` and `detail` are for health and metrics, `since_us` is when the state began (microseconds, wall clock);
    `stops` counts the stops in a row, by which pauses grow; `appends_stored`, the appends that were stored; `accusers`
    are the messages that were refused alone, without a row being named, since then (`accused_since_us`: the first one).
    """

    def __init__(self, table: str, clock: Clock) -> None:
        self._table, self._clock = table, clock
        self.state = SinkState.ACTIVE
        self.detail = ""
        self.since_us = clock.now_us()
        self.stops = self.appends_stored = 0
        self.accusers: set[str] = set()
        self.accused_since_us = 0
        self.troubled = asyncio.Event()
        """Set while the state is not ACTIVE."""
        self._by_look = self._was_quiet = False
        self._pause: Unavailable | Throttled | None = None
        self._paused_until_us = 0

    def pause(self) -> Unavailable | Throttled | None:
        """Return what everybody is told while nothing is asked of the store, with the time left; None otherwise."""
        if self._pause is None:
            return None
        left_s = (self._paused_until_us - self._clock.elapsed_us()) / MICROSECONDS
        if left_s <= 0:
            self._pause = None
            return None
        return msgspec.structs.replace(self._pause, retry_after_s=left_s)

    def stop(self, stop: Trip) -> Unavailable | Throttled:
        """Begin a pause, as long as the verdict says; return what everybody is told.

        During a pause another stop changes nothing: of several appends under way each hears of the same trouble.
        """
        running = self.pause()
        if running is not None:
            return running
        self.trouble(stop.state, stop.detail)
        self.stops += 1
        self._pause = stop.verdict
        self._paused_until_us = self._clock.elapsed_us() + round(stop.verdict.retry_after_s * MICROSECONDS)
        return stop.verdict

    def trouble(self, state: SinkState, detail: str) -> None:
        """Note a state that is not ACTIVE."""
        if self.state is not state:
            told = (
                TrustedText(detail) if state in _SEEN_ON_THE_TABLE or state is SinkState.PERMISSION_DENIED else detail
            )
            _log.warning("table %s: %s: %s", self._table, state.value, told)
            self.since_us = self._clock.now_us()
        self.state, self.detail = state, detail
        self._by_look = self._was_quiet = False
        self.troubled.set()

    def uncertain(self, detail: str, failures: int) -> None:
        """Note an append without an answer, the `failures`-th in a row of the same rows.

        Stores close connections as a matter of course, and the rows are sent again: the second time it is news.
        """
        if failures > 1:
            self.trouble(SinkState.UNREACHABLE, detail)

    def recover(self) -> None:
        """Note that the store has answered as it should, unless it said otherwise elsewhere since."""
        if self._pause is None and self.state is not SinkState.ACTIVE:
            _log.warning("table %s: ACTIVE, after %s", self._table, self.state.value)
            self.state, self.detail, self.stops = SinkState.ACTIVE, "", 0
            self.since_us = self._clock.now_us()
            self.troubled.clear()

    def stored(self) -> None:
        """Note that rows were stored: whatever was refused, it is not the table."""
        self.appends_stored += 1
        self.accusers.clear()
        self.recover()

    def accuse(self, key: str) -> None:
        """Note that a message was refused alone, and nobody knows why."""
        if not self.accusers:
            self.accused_since_us = self._clock.elapsed_us()
        if len(self.accusers) < _MAX_ACCUSERS:
            self.accusers.add(key)

    def found(self, obstacle: SetupError | Stored | None, *, idle: bool) -> Trip | None:
        """Take note of what a look at the table found; return the Stop that follows. `idle`: nothing is under way.

        What an earlier look had found is over when this one does not. Of what an append had met, a look that finds
        nothing ends the pause, if it is a thing that looks can see; the state stays until an append succeeds, or
        until two looks in a row have found that nobody tries any more. A look that has written (Stored) ends both.
        """
        if isinstance(obstacle, Stored):
            self._pause = None
            self.recover()
            return None
        if obstacle is None:
            if self._by_look:
                self._pause = None
                self.recover()
            elif self.pause() is None and idle:
                if self._was_quiet:
                    self.recover()
                self._was_quiet = True
            elif self.state in _SEEN_ON_THE_TABLE:
                self._pause = None
            return None
        if obstacle.state in {SinkState.UNREACHABLE, SinkState.QUOTA_EXHAUSTED}:  # of looks, not of appends
            if self.state is SinkState.ACTIVE:
                self.trouble(obstacle.state, obstacle.detail)
                self._by_look = True
            return None
        stop = stop_for(obstacle, min(self.stops, MAX_FAILURES))
        self.stop(stop)
        self._by_look = True
        return stop
